"""By the clock: the floors that hold, or will hold by the time at which a replica that is asked for has started."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from deployments.autoscaling.config import FloorConfig
from deployments.autoscaling.demand import cold_start_seconds
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

SCHEDULE = "schedule"


def floors(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """The highest floor, if there is any."""
    moments = (now, now + cold_start_seconds(samples, spec))
    holding = [floor for floor in spec.scaling.schedule if any(holds(floor, moment) for moment in moments)]
    if not holding:
        return []
    highest = max(holding, key=lambda floor: floor.replicas)
    text = f"at least {highest.replicas} from {highest.start} to {highest.end} UTC"
    return [Reason(SCHEDULE, highest.replicas, text)]


def schedule(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """The highest floor, and outside of all of them the least."""
    return floors(samples, spec, now) or [Reason(SCHEDULE, samples[-1].least, "no floor holds")]


def holds(floor: FloorConfig, moment: float) -> bool:
    """Whether ``floor`` holds at ``moment``, in Unix seconds."""
    at = datetime.fromtimestamp(moment, UTC)
    clock, yesterday = at.strftime("%H:%M"), (at - timedelta(days=1)).weekday()
    if floor.start < floor.end:
        return at.weekday() in floor.days and floor.start <= clock < floor.end
    return (at.weekday() in floor.days and clock >= floor.start) or (yesterday in floor.days and clock < floor.end)
