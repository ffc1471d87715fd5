"""What each request is, drawn from the mix of its tenant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import merge
from math import exp, log
from random import Random

from deployments.tenancy.tenant import Band
from loadtest.arrivals.arrival import Arrival
from loadtest.arrivals.process import moments
from loadtest.arrivals.shapes import SHAPES
from loadtest.scenario.scenario import Kind, Lengths, Scenario, TenantLoad
from loadtest.traces.row import TraceRow

SEEDS = 1 << 31


def synthetic(scenario: Scenario) -> list[Arrival]:
    """The requests of a scenario without a trace, in order; the same for the same seed.

    Each tenant is drawn from a source of its own, so that what one does changes nothing for another.
    """
    streams = [_of_tenant(scenario, tenant) for tenant in scenario.tenants]
    return [
        Arrival(number, at, tenant.name, *_nature(tenant, random), *lengths, random.randrange(SEEDS))
        for number, (at, tenant, lengths, random) in enumerate(merge(*streams, key=lambda each: each[0]))
    ]


def replayed(scenario: Scenario, rows: Sequence[TraceRow]) -> list[Arrival]:
    """The requests of ``rows`` that come while the load lasts, dealt to the tenants by their shares."""
    random = Random(f"{scenario.seed} trace")  # noqa: S311
    speed = 1.0 if scenario.trace is None else scenario.trace.speed
    shares = [tenant.share for tenant in scenario.tenants]
    arrivals = []
    for number, row in enumerate(row for row in rows if row.at / speed < scenario.load_seconds):
        [tenant] = random.choices(scenario.tenants, shares)
        lengths = min(row.prompt_tokens, scenario.prompt.most), min(row.answer_tokens, scenario.answer.most)
        nature = _nature(tenant, random)
        arrivals.append(Arrival(number, row.at / speed, tenant.name, *nature, *lengths, random.randrange(SEEDS)))
    return arrivals


Drawn = tuple[float, TenantLoad, tuple[int, int], Random]


def _of_tenant(scenario: Scenario, tenant: TenantLoad) -> Iterator[Drawn]:
    random = Random(f"{scenario.seed} {tenant.name}")  # noqa: S311
    config = scenario.arrivals
    peak = config.peak_per_second * tenant.share / sum(each.share for each in scenario.tenants)
    shape = SHAPES[tenant.shape or config.shape]
    for at in moments(shape, peak, config.burstiness, scenario.load_seconds, random):
        yield at, tenant, (_length(scenario.prompt, random), _length(scenario.answer, random)), random


def _nature(tenant: TenantLoad, random: Random) -> tuple[Band, Kind]:
    [band] = random.choices(list(tenant.bands), list(tenant.bands.values()))
    [kind] = random.choices(list(tenant.kinds), list(tenant.kinds.values()))
    return band, kind


def _length(lengths: Lengths, random: Random) -> int:
    drawn = exp(random.gauss(log(lengths.median), lengths.sigma))
    return max(1, min(lengths.most, round(drawn)))
