"""What a trace of requests came to, in figures that hold for virtual and for real replicas alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from cluster.simulator.workload import Arrival

SLACK = 4.0
"""An answer is good when it took no longer than so many times what it takes alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds from the intended start of a request to its ``first`` token, and to its last."""

    first: float
    latency: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds from the intended start to the last token, the same as a multiple of what the request takes alone, and
    seconds to the first token; tokens of good answers a second, from the first arrival to the last end; the share of
    answers that are good; and of the position-forwards of all steps the mean and the swing, their coefficient of
    variation.
    """

    router: str
    replicas: int
    requests: int
    p50_latency: float
    p99_latency: float
    p99_slowdown: float
    p50_first: float
    p99_first: float
    goodput: float
    good: float
    positions_per_step: float
    swing: float


def outcome(
    router: str, replicas: int, trace: Sequence[Arrival], answers: Mapping[str, Answer], steps: Sequence[int]
) -> Outcome:
    """Of ``trace`` with one of ``answers`` to each request, in ``steps`` of so many position-forwards."""
    latencies = sorted(answer.latency for answer in answers.values())
    firsts = sorted(answer.first for answer in answers.values())
    slowdowns = sorted(answers[arrival.request.id].latency / arrival.alone for arrival in trace)
    end = max(arrival.at + answers[arrival.request.id].latency for arrival in trace)
    good = [arrival for arrival in trace if answers[arrival.request.id].latency <= SLACK * arrival.alone]
    return Outcome(
        router=router,
        replicas=replicas,
        requests=len(trace),
        p50_latency=percentile(latencies, 0.5),
        p99_latency=percentile(latencies, 0.99),
        p99_slowdown=percentile(slowdowns, 0.99),
        p50_first=percentile(firsts, 0.5),
        p99_first=percentile(firsts, 0.99),
        goodput=sum(arrival.request.max_tokens for arrival in good) / (end - trace[0].at),
        good=len(good) / len(trace),
        positions_per_step=fmean(steps),
        swing=pstdev(steps) / fmean(steps),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Between the two values of ``ordered`` that ``share`` lies between."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
