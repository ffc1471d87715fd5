"""All figures of a load test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtest.figures.fairness import Fairness, fairness
from loadtest.figures.sample import OK, Sample
from loadtest.figures.summary import Summary, summary
from loadtest.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Results:
    """Figures of the requests that were due behind the warm-up, of which each tenant, band and kind has its own.

    ``missing`` requests were due and nobody has told what became of them. ``outcomes`` counts what became of the
    others, with one example of each in ``examples``.
    """

    whole: Summary
    tenants: Mapping[str, Summary]
    bands: Mapping[str, Summary]
    kinds: Mapping[str, Summary]
    fairness: Fairness
    outcomes: Mapping[str, int]
    examples: Mapping[str, str]
    missing: int


def results(scenario: Scenario, samples: Sequence[Sample], due: Sequence[float], max_lag: float | None) -> Results:
    """Of ``samples``; ``due`` are the intended starts of all requests."""
    counted = [sample for sample in samples if sample.due >= scenario.warm_up_seconds]
    weights = {tenant.name: tenant.weight for tenant in scenario.tenants}

    def split(name: Callable[[Sample], str]) -> dict[str, Summary]:
        names = sorted({name(sample) for sample in counted})
        return {
            each: summary([s for s in counted if name(s) == each], scenario.objectives, scenario.seconds)
            for each in names
        }

    return Results(
        whole=summary(counted, scenario.objectives, scenario.seconds),
        tenants=split(lambda sample: sample.tenant),
        bands=split(lambda sample: sample.band),
        kinds=split(lambda sample: sample.kind),
        fairness=fairness(counted, weights, max_lag),
        outcomes=dict(Counter(sample.outcome for sample in counted).most_common()),
        examples={sample.outcome: sample.detail for sample in reversed(counted) if sample.outcome != OK},
        missing=len(due) - len(samples),
    )
