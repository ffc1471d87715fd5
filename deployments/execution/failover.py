"""Whether a request that lost its place is run again, and when. Pure: times come from the caller, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.errors import (
    Draining,
    NoReplica,
    Overloaded,
    ReplicaLost,
    ReplicaSilent,
    ReplicasLost,
    ServingError,
)

LOSSES_IN_A_ROW = 2
"""Replicas that a request may take down without getting any further before it is taken for the cause."""

LOSSES = 6
"""Replicas that a request may lose altogether, however far it gets in between."""

FIRST_WAIT_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 1.0


@dataclass(slots=True)
class Failover:
    """What has happened to one request.

    A replica that died is blamed on the request when that has made no progress since the last loss; two in a row end
    it. One that was silent may just have been slow.

    A request that has been admitted once is worth waiting for: for ``patience_seconds`` it is tried again while no
    replica takes it. One that has not is refused at once, so that its client can go elsewhere.
    """

    patience_seconds: float
    losses: int = 0
    losses_in_a_row: int = 0
    waits: int = 0
    waiting_since: float | None = None

    def progressed(self) -> None:
        """A checkpoint further on has arrived."""
        self.losses_in_a_row = 0
        self.waits = 0
        self.waiting_since = None

    def wait(self, error: ServingError, now: float, *, admitted: bool) -> float:
        """Seconds until the next attempt of a request, which some replica has ``admitted`` before or none has. Raises
        what the client is to be told when there is none.
        """
        if isinstance(error, ReplicaLost):
            return self._after_loss(error, blamed=not isinstance(error, ReplicaSilent))
        if isinstance(error, Draining) or (admitted and isinstance(error, NoReplica | Overloaded)):
            return self._after_refusal(error, now)
        raise error

    def _after_loss(self, error: ReplicaLost, *, blamed: bool) -> float:
        self.losses += 1
        self.losses_in_a_row += blamed
        if self.losses_in_a_row >= LOSSES_IN_A_ROW or self.losses >= LOSSES:
            raise ReplicasLost from error
        return 0.0

    def _after_refusal(self, error: ServingError, now: float) -> float:
        if self.waiting_since is None:
            self.waiting_since = now
        if now - self.waiting_since > self.patience_seconds:
            raise error
        self.waits += 1
        return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(self.waits - 1, 10))
