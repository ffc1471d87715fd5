"""Which pool of a group does how much of the work: the one that does it for the least price, as far as it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deployments.autoscaling.candidate import Candidate
from deployments.autoscaling.demand import whole
from deployments.autoscaling.past import COST
from deployments.autoscaling.sample import Reason


def shared(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The pools of one group, which together do what they ask for."""
    if len(candidates) < 2:
        return list(candidates)
    given = shares(candidates)
    told = ", ".join(f"{pool} {number}" for pool, number in given.items())
    return [
        each
        if each.wanted == given[each.spec.name]
        else each.because(Reason(COST, given[each.spec.name], f"the cheapest first: {told}"))
        for each in candidates
    ]


def shares(candidates: Sequence[Candidate]) -> dict[str, int]:
    """Replicas by pool, the cheapest first: by price per capacity, or by price where a capacity is not known.

    No pool is asked to shrink before the others that run can do its work.
    """
    capacities = [each.capacity for each in candidates]
    is_known = all(capacities)
    capacity = {
        each.spec.name: float(found or 1) if is_known else 1.0
        for each, found in zip(candidates, capacities, strict=True)
    }
    cheapest = sorted(candidates, key=lambda each: (each.spec.price / capacity[each.spec.name], each.spec.name))
    demand = max(
        sum(each.for_own * capacity[each.spec.name] for each in candidates),
        max(each.for_waiting * capacity[each.spec.name] for each in candidates),
    )
    given = {each.spec.name: min(each.floor, each.sample.most) for each in cheapest}
    for each in cheapest:
        name = each.spec.name
        left = demand - _done(given, capacity)
        given[name] = max(given[name], min(each.sample.most, given[name] + whole(left / capacity[name])))
    running = {each.spec.name: each.sample.replicas for each in candidates}
    needed = min(demand, _done(running, capacity))
    for each in cheapest:
        name = each.spec.name
        left = needed - _done({pool: min(number, running[pool]) for pool, number in given.items()}, capacity)
        kept = min(running[name], each.sample.target, given[name] + whole(left / capacity[name]))
        given[name] = max(given[name], kept)
    return given


def _done(replicas: Mapping[str, int], capacity: Mapping[str, float]) -> float:
    return sum(number * capacity[pool] for pool, number in replicas.items())
