"""What the autoscaler says of itself. Times are in Unix seconds, work is in position-forwards."""

from __future__ import annotations

from cluster.client.answers import Answer, Part


class PoolState(Part):
    """A pool when it was looked at last: ``target`` replicas are wanted between ``least`` and ``most``, of those that
    run so many are ``reporting``. What is not known is ``None``.
    """

    at: float
    age_seconds: float
    replicas: int
    target: int
    least: int
    most: int
    reporting: int
    running: int
    waiting: int | None
    backlog: float | None
    rate: float | None
    signals: dict[str, float | None]


class ScalingReason(Part):
    """One signal's part in a decision."""

    signal: str
    wanted: int
    text: str


class ScalingDecision(Part):
    """From ``before`` to ``after`` replicas, and why; ``bound`` is what kept the number from being the wanted one."""

    at: float
    before: int
    after: int
    bound: str
    text: str
    reasons: tuple[ScalingReason, ...]


class PoolExplanation(Part):
    """A pool that is scaled, the last decision of it and those that changed it, the newest first."""

    name: str
    model: str
    group: str
    policy: str
    state: PoolState | None
    last: ScalingDecision | None
    changes: tuple[ScalingDecision, ...]


class PoolExplanations(Answer):
    """All such pools, by name."""

    data: tuple[PoolExplanation, ...]
