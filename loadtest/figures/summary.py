"""Many requests in a few figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.tenancy.tenant import Band
from loadtest.figures.sample import Sample
from loadtest.figures.statistics import percentile, ratio, wilson_interval
from loadtest.scenario.scenario import Objective

NO_OBJECTIVE = Objective()


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of some requests; NaN where nothing was measured.

    A request is *good* when it was answered, rightly, within the objective of its band. ``good_share`` is of all
    requests whose times are measured, with its interval of 95 % by Wilson. ``seconds`` are from the intended start to
    the end, gaps are those between two commits of an answer, and steps are counted for each canvas.
    """

    requests: int
    answered: int
    failed: int
    refused: int
    failed_share: float
    refused_share: float
    good_share: float
    good_share_least: float
    good_share_most: float
    good_per_second: float
    p50_first_commit_seconds: float
    p99_first_commit_seconds: float
    p50_gap_seconds: float
    p99_gap_seconds: float
    p50_seconds: float
    p99_seconds: float
    p50_seconds_per_token: float
    tokens_per_second: float
    tokens_per_forward: float
    steps_per_canvas: float
    stability: float
    p99_queue_seconds: float
    p99_late_seconds: float
    position_forwards: int


def is_good(sample: Sample, objectives: Mapping[Band, Objective]) -> bool:
    """Whether the answer is a right one and came in time."""
    objective = objectives.get(sample.band, NO_OBJECTIVE)
    first = objective.first_commit_seconds
    in_time = objective.seconds is None or sample.seconds <= objective.seconds
    begun_in_time = first is None or sample.first_commit is None or sample.first_commit <= first
    return sample.is_answered and in_time and begun_in_time


def summary(samples: Sequence[Sample], objectives: Mapping[Band, Objective], seconds: float) -> Summary:
    """Of ``samples`` that were due within ``seconds``."""
    measured = [sample for sample in samples if sample.is_measured]
    answered = [sample for sample in measured if sample.is_answered]
    good = sum(is_good(sample, objectives) for sample in measured)
    least, most = wilson_interval(good, len(measured))
    firsts = [sample.first_commit for sample in answered if sample.first_commit is not None]
    gaps = [gap for sample in answered for gap in sample.gaps]
    queued = [sample.queue_seconds for sample in answered if sample.queue_seconds is not None]
    tokens = sum(sample.completion_tokens for sample in answered)
    failed, refused = (sum(getattr(sample, name) for sample in samples) for name in ("is_failed", "is_refused"))
    return Summary(
        requests=len(samples),
        answered=sum(sample.is_answered for sample in samples),
        failed=failed,
        refused=refused,
        failed_share=ratio(failed, len(samples)),
        refused_share=ratio(refused, len(samples)),
        good_share=ratio(good, len(measured)),
        good_share_least=least,
        good_share_most=most,
        good_per_second=good / seconds,
        p50_first_commit_seconds=percentile(firsts, 0.5),
        p99_first_commit_seconds=percentile(firsts, 0.99),
        p50_gap_seconds=percentile(gaps, 0.5),
        p99_gap_seconds=percentile(gaps, 0.99),
        p50_seconds=percentile((sample.seconds for sample in answered), 0.5),
        p99_seconds=percentile((sample.seconds for sample in answered), 0.99),
        p50_seconds_per_token=percentile(
            (sample.seconds / sample.completion_tokens for sample in answered if sample.completion_tokens), 0.5
        ),
        tokens_per_second=tokens / seconds,
        tokens_per_forward=ratio(tokens, sum(sample.forward_passes for sample in answered)),
        steps_per_canvas=ratio(sum(each.steps for each in answered), sum(each.canvases for each in answered)),
        stability=ratio(sum(each.survived for each in answered), sum(each.shown for each in answered)),
        p99_queue_seconds=percentile(queued, 0.99),
        p99_late_seconds=percentile((sample.late for sample in samples), 0.99),
        position_forwards=sum(sample.position_forwards for sample in samples),
    )
