"""What decisions about the size of pools are made from, and what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.autoscaling.config import ObjectiveConfig, ScalingConfig


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """What does not change of a pool while it is deployed.

    Pools of one ``group`` share a queue, since they denoise canvases of the same sizes of one ``model``. A replica has
    ``places`` for requests. The price is per hour of a replica.
    """

    name: str
    model: str
    group: str
    least: int
    most: int
    places: int
    price: float
    scaling: ScalingConfig
    objective: ObjectiveConfig


@dataclass(frozen=True, slots=True)
class PoolSample:
    """A pool at a moment, ``at`` in Unix seconds.

    ``replicas`` run and ``target`` are wanted, between ``least`` and ``most``, which are the bounds of the deployment
    at its present capacity. ``reporting`` replicas have fresh figures, and ``load`` is the mean tensor activity of
    those of them that know it, as a share of the plateau. ``running`` requests are denoised. ``waiting`` ones wait at
    the replicas or, for all pools of the group together, in their queue. ``backlog`` is what all of these are expected
    to take, in position-forwards, and ``rate`` what the reporting replicas do in a second together. ``burn`` is the
    share of requests that missed the objective over the share that may, and ``refresh_share`` the share of the refresh
    phase in the work done. What is not known, or not fresh, is ``None``.
    """

    at: float
    replicas: int
    target: int
    least: int
    most: int
    reporting: int = 0
    load: float | None = None
    running: int = 0
    waiting: int | None = None
    backlog: float | None = None
    rate: float | None = None
    burn: float | None = None
    refresh_share: float | None = None

    @property
    def wait(self) -> float | None:
        """Seconds that a request which comes now is predicted to wait for a place."""
        if self.waiting == 0:
            return 0.0
        if self.queued is None or not self.rate:
            return None
        return self.queued / self.rate

    @property
    def queued(self) -> float | None:
        """The part of the backlog that waits, if those who run are half done."""
        if self.backlog is None or self.waiting is None:
            return None
        return self.backlog * self.waiting / (self.waiting + self.running / 2) if self.waiting else 0.0


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal's part in a decision: it asks for ``wanted`` replicas, because of ``text``.

    ``signal`` is one of load, wait, burn, schedule, queue, or the name of what bounded the decision.
    """

    signal: str
    wanted: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided for one pool: from ``before`` to ``after`` replicas.

    ``bound`` is what kept the number from being the wanted one: none, max, min, pace, stale or panic.
    """

    before: int
    after: int
    bound: str
    reasons: tuple[Reason, ...]

    def explain(self) -> str:
        """As in ``3 -> 5: tensor 0.91 > 0.75 for 60 s; wait 1.8 s; capped by max``."""
        return f"{self.before} -> {self.after}: " + "; ".join(reason.text for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided for all pools of an application at a moment, by pool."""

    at: float
    verdicts: Mapping[str, Verdict]

    @property
    def targets(self) -> dict[str, int]:
        """Replicas by pool."""
        return {name: verdict.after for name, verdict in self.verdicts.items()}


@dataclass(frozen=True, slots=True)
class History:
    """The samples of each pool, and all decisions, each the oldest first, as far back as they are kept."""

    samples: Mapping[str, Sequence[PoolSample]]
    decisions: Sequence[Decision] = ()
