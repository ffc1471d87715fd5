"""Small worlds in which pools follow what is decided; ``python -m tests.deployments.autoscaling.scenarios`` writes the
golden traces again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.autoscaling.replay import Synthetic, over_trace, simulate
from deployments.autoscaling.config import (
    AutoscalingConfig,
    FloorConfig,
    ObjectiveConfig,
    PaceConfig,
    ScalingConfig,
)
from deployments.autoscaling.decide import decide
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec
from deployments.autoscaling.trace import Trace

TRACES = Path(__file__).parent / "traces"
TIMING = AutoscalingConfig(interval_seconds=5.0)
SCALING = ScalingConfig(
    down=PaceConfig(stabilization_seconds=60.0, replicas=1, share=0.5, period_seconds=30.0),
    cold_start_seconds=10.0,
    idle_seconds=60.0,
)
MONDAY = 1_767_571_200.0
"""2026-01-05 00:00 UTC."""

World = Callable[[float, Mapping[str, int]], Mapping[str, PoolSample]]
"""From the moment and the targets to what is measured then."""


def spec(name: str = "a", scaling: ScalingConfig = SCALING, **changes: object) -> PoolSpec:
    base = PoolSpec(name, "m", "m/all", 1, 8, 16, 1.0, scaling, ObjectiveConfig())
    return replace(base, **changes)  # type: ignore[arg-type]


def sample(at: float = 0.0, replicas: int = 1, **changes: object) -> PoolSample:
    """A pool of which everything is known, and which has nothing to do."""
    base = PoolSample(
        at, replicas, replicas, 1, 8, reporting=replicas, load=0.0, waiting=0, backlog=0.0, rate=1000.0 * replicas
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def play(specs: Sequence[PoolSpec], world: World, moments: Sequence[float]) -> Trace:
    """What is decided in ``world``, whose pools begin with their least."""
    targets = {each.name: each.least for each in specs}
    samples: dict[str, list[PoolSample]] = {each.name: [] for each in specs}
    decisions: list[Decision] = []
    for at in moments:
        for name, measured in world(at, targets).items():
            samples[name].append(replace(measured, at=at, target=targets[name]))
        decision = decide(History(samples, decisions), specs, at, TIMING.stale_seconds)
        decisions.append(decision)
        targets = decision.targets
    return Trace(
        {each.name: each for each in specs}, {name: tuple(found) for name, found in samples.items()}, tuple(decisions)
    )


def demanding(demand: float, replicas: int, least: int = 1, most: int = 8) -> PoolSample:
    """Replicas under a demand of that many full ones; what is too much for them waits."""
    over = max(0.0, demand - replicas)
    return sample(
        replicas=replicas,
        least=least,
        most=most,
        load=min(1.0, demand / replicas) if replicas else None,
        running=round(16 * min(demand, replicas)),
        waiting=round(16 * over),
        backlog=2000.0 * demand,
        rate=1000.0 * replicas if replicas else None,
    )


def _stale(at: float, targets: Mapping[str, int]) -> Mapping[str, PoolSample]:
    replicas = targets["a"]
    if 100 <= at < 250:
        return {"a": sample(replicas=replicas, reporting=0, load=None, rate=None, backlog=None)}
    return {"a": demanding(3.0 if at < 100 else 0.5, replicas)}


def _lost_replicas(at: float, targets: Mapping[str, int]) -> Mapping[str, PoolSample]:
    """Half of the replicas are lost, come back, and are silent for a while."""
    replicas = min(targets["a"], 2) if 100 <= at < 160 else targets["a"]
    measured = demanding(3.0 if at < 250 else 0.5, replicas)
    if 160 <= at < 180 or at >= 270:
        half = replicas // 2
        return {"a": replace(measured, reporting=half, running=measured.running // 2, rate=1000.0 * half)}
    return {"a": measured}


def _zero(at: float, targets: Mapping[str, int]) -> Mapping[str, PoolSample]:
    demand = 0.5 if 50 <= at < 120 or 300 <= at < 330 else 0.0
    return {"a": demanding(demand, targets["a"], least=0)}


def _two_types(at: float, targets: Mapping[str, int]) -> Mapping[str, PoolSample]:
    """A replica on the one type does four times the work for five times the price of the other."""
    demand = 0.5 + (7.0 if 100 <= at < 300 else 0.0)
    capacity = {"l4": 1.0, "h100": 4.0}
    total = sum(capacity[name] * number for name, number in targets.items())
    load = min(1.0, demand / total) if total else None
    waiting = round(16 * max(0.0, demand - total))
    return {
        name: replace(
            demanding(0.0, number, least=1 if name == "l4" else 0, most=4),
            load=load if number else None,
            rate=1000.0 * capacity[name] * number or None,
            waiting=waiting,
            backlog=2000.0 * demand,
            running=round(16 * number * (load or 0)),
        )
        for name, number in targets.items()
    }


def _schedule(at: float, targets: Mapping[str, int]) -> Mapping[str, PoolSample]:
    return {"a": demanding(0.2, targets["a"])}


def every(seconds: float, until: float, start: float = 0.0) -> list[float]:
    return [start + seconds * number for number in range(int(until / seconds))]


def _virtual(shape: str) -> Trace:
    virtual = Synthetic(shape, seconds=600.0, peak=4.0, most=8)
    return simulate("tensor_core", decide, virtual, SCALING, TIMING).trace


def recorded() -> dict[str, Trace]:
    night = FloorConfig(replicas=4, start="22:00", end="02:00", days=[0])
    scheduled = SCALING.model_copy(update={"schedule": [night]})
    types = [
        spec("l4", group="shared", price=1.0, least=1, most=4),
        spec("h100", group="shared", price=5.0, least=0, most=4),
    ]
    hours = every(600.0, 10 * 3600.0, MONDAY + 19 * 3600.0)
    return {
        **{shape: _virtual(shape) for shape in ("step", "ramp", "diurnal", "flapping")},
        "stale": play([spec()], _stale, every(5.0, 400.0)),
        "lost_replicas": play([spec()], _lost_replicas, every(5.0, 400.0)),
        "zero": play([spec(least=0)], _zero, every(5.0, 450.0)),
        "two_types": play(types, _two_types, every(5.0, 500.0)),
        "schedule": play([spec(scaling=scheduled)], _schedule, hours),
    }


def told(trace: Trace) -> Trace:
    """With those decisions only that differ from the ones before in size or bound."""
    kept: list[Decision] = []
    last: object = None
    for decision in trace.decisions:
        now = {name: (verdict.after, verdict.bound) for name, verdict in decision.verdicts.items()}
        if now != last:
            kept.append(decision)
        last = now
    return replace(trace, decisions=tuple(kept))


def decided_again(trace: Trace) -> Trace:
    """What is decided on the recorded samples."""
    return over_trace("", decide, trace, TIMING).trace


def main() -> None:
    for name, trace in recorded().items():
        lines = told(trace).lines()
        (TRACES / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
