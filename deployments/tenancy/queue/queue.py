"""The seam between a request that may run and its turn to do so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Band


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its turn at a model. ``work`` is the most that it can cost, in work units.

    Its tenant has a share in proportion to ``weight`` and at most ``cap`` requests waiting. Times are in Unix seconds;
    one that has not had its turn at its ``deadline`` is not worth running.
    """

    id: str
    tenant: str
    work: int
    weight: float = 1.0
    band: Band = "default"
    cap: int | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a queue holds: waiting requests by band, those under way, the tenants' counters in work units per weight.

    ``jain`` is Jain's index of the service per weight that the backlogged tenants have had, 1 when all have had the
    same, and ``max_lag`` is how far the counters of two of them are apart.
    """

    waiting: Mapping[Band, int]
    running: int
    counters: Mapping[str, float]
    jain: float
    max_lag: float


class FairQueue(Protocol):
    """The queue of one model, shared by all gateways: who has had least per weight goes next.

    A turn is charged with the most that the request can cost when it is given, and what that was too much is taken
    back behind it. Turns are given as long as the model has places (:meth:`deployments.pools.pool.Pool.places`).
    """

    def check(self, request: Waiting) -> None:
        """Raise :class:`deployments.errors.QueueFull` when ``request`` would be refused, as far as is known here; which
        spares all that comes before :meth:`turn`.
        """

    async def turn(self, request: Waiting) -> None:
        """Wait for the turn of ``request``; being cancelled leaves the queue.

        Raises :class:`deployments.errors.QueueFull` when its tenant has too many waiting, and
        :class:`DeadlineExceeded` when its deadline comes first.
        """

    async def resume(self, request: Waiting) -> None:
        """``request`` has had its turn at another gateway, which is gone; it goes on without waiting again."""

    async def end(self, request: Waiting, spent: int) -> None:
        """Give the place of ``request`` to the next one; it cost ``spent``. Repeating it changes nothing."""

    async def state(self) -> QueueState:
        """What the queue holds now."""

    async def serve(self) -> None:
        """Renew this gateway's places, take back those of gateways that are gone, hear of turns; until cancelled."""
