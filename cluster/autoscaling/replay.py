"""A policy over a trace: one that was recorded, or one of a virtual pool that does what the policy asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from random import Random
from typing import Protocol

from cluster.autoscaling.course import Course
from cluster.autoscaling.pool_model import Begun, PoolModel, ReplicaModel
from cluster.autoscaling.shapes import SHAPES, arrivals
from deployments.autoscaling.config import AutoscalingConfig, ObjectiveConfig, ScalingConfig
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec
from deployments.autoscaling.trace import Trace

POOL = "pool"
BURN_SECONDS = 60.0
"""The objective is looked at over this time."""


class Decide(Protocol):
    """As :func:`deployments.autoscaling.decide.decide`."""

    def __call__(
        self, history: History, specs: Sequence[PoolSpec], now: float, stale_seconds: float, /
    ) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A pool of ``least`` to ``most`` replicas under a demand of ``shape``, whose peak is what ``peak`` full replicas
    do.
    """

    shape: str = "step"
    seconds: float = 1800.0
    peak: float = 6.0
    least: int = 1
    most: int = 12
    price: float = 0.0
    seed: int = 0
    replica: ReplicaModel = field(default_factory=ReplicaModel)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def spec(self, scaling: ScalingConfig) -> PoolSpec:
        """The pool as decisions see it."""
        return PoolSpec(
            name=POOL,
            model="synthetic",
            group=POOL,
            least=self.least,
            most=self.most,
            places=self.replica.places,
            price=self.price,
            scaling=scaling,
            objective=self.objective,
        )


def over_trace(name: str, decide: Decide, trace: Trace, timing: AutoscalingConfig) -> Course:
    """What ``decide`` would have said at each moment of a recorded ``trace``. Its sizes are not those of the trace, and
    what they would have changed is not known: each verdict is on the pool as it was.
    """
    samples: dict[str, list[PoolSample]] = defaultdict(list)
    decisions: list[Decision] = []
    specs = list(trace.specs.values())
    for at, entries in _moments(trace.samples):
        for pool, sample in entries:
            samples[pool].append(sample)
        decisions.append(decide(History(samples, decisions), specs, at, timing.stale_seconds))
    waits = [each.wait for found in trace.samples.values() for each in found if each.wait is not None]
    return Course(name, Trace(trace.specs, trace.samples, tuple(decisions)), waits)


def simulate(
    name: str, decide: Decide, synthetic: Synthetic, scaling: ScalingConfig, timing: AutoscalingConfig
) -> Course:
    """What comes of doing as ``decide`` says; the same for the same seed."""
    spec, model = synthetic.spec(scaling), synthetic.replica
    peak = synthetic.peak * model.requests_per_second
    random = Random(synthetic.seed)  # noqa: S311
    moments = list(arrivals(SHAPES[synthetic.shape], peak, synthetic.seconds, random))
    pool = PoolModel(model, moments, synthetic.least, scaling.cold_start_seconds)
    samples: list[PoolSample] = []
    decisions: list[Decision] = []
    while pool.now < synthetic.seconds:
        load = pool.advance(timing.interval_seconds)
        samples.append(_sample(pool, spec, load, samples))
        decision = decide(History({POOL: samples}, decisions), [spec], pool.now, timing.stale_seconds)
        decisions.append(decision)
        pool.scale(decision.targets[POOL])
    waits = [each.wait for each in pool.begun] + [pool.now - since for since in pool.waiting]
    return Course(name, Trace({POOL: spec}, {POOL: tuple(samples)}, tuple(decisions)), waits)


def _sample(pool: PoolModel, spec: PoolSpec, load: float, before: Sequence[PoolSample]) -> PoolSample:
    sample = PoolSample(
        at=pool.now,
        replicas=pool.replicas,
        target=pool.target,
        least=spec.least,
        most=spec.most,
        reporting=pool.replicas,
        running=pool.running,
        waiting=len(pool.waiting),
        backlog=pool.backlog,
        burn=_burn(pool.begun, spec.objective, pool.now),
    )
    if not pool.replicas:
        return sample
    last_rate = before[-1].rate if before else None
    return replace(sample, load=load, rate=pool.rate or last_rate)


def _burn(begun: Sequence[Begun], objective: ObjectiveConfig, now: float) -> float | None:
    missed = count = 0
    for each in reversed(begun):
        if each.at < now - BURN_SECONDS:
            break
        count += 1
        missed += each.wait > objective.first_commit_seconds
    return missed / count / (1 - objective.share) if count else None


def _moments(samples: Mapping[str, Iterable[PoolSample]]) -> list[tuple[float, list[tuple[str, PoolSample]]]]:
    """The samples of all pools by their time."""
    moments: list[tuple[float, list[tuple[str, PoolSample]]]] = []
    ordered = merge(*([(each.at, pool, each) for each in found] for pool, found in samples.items()), key=lambda e: e[0])
    for at, pool, sample in ordered:
        if not moments or moments[-1][0] != at:
            moments.append((at, []))
        moments[-1][1].append((pool, sample))
    return moments
