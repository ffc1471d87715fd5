"""The seam between the gateways and the place where limits are counted for all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Limits, Tenant


@dataclass(frozen=True, slots=True)
class Charge:
    """What a request costs: before it runs, at most; behind it, in truth. ``work`` is in work units."""

    requests: int = 0
    tokens: int = 0
    work: int = 0

    def __add__(self, other: Charge) -> Charge:
        return Charge(self.requests + other.requests, self.tokens + other.tokens, self.work + other.work)


@dataclass(frozen=True, slots=True)
class Level:
    """What is left of one limit, and in how many seconds all of it will be there again."""

    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Levels:
    """The limits that a tenant has, by their names in :class:`deployments.tenancy.tenant.Limits`.

    ``mode`` is ``shared`` when all gateways count together; ``local`` or ``allow`` while the store does not answer.
    """

    by_limit: Mapping[str, Level]
    mode: str = "shared"


class Limiter(Protocol):
    """Counts requests, tokens, work and concurrency of each tenant; admitted work never exceeds a limit.

    The most that a request can cost is reserved before it runs, and what it did not cost is given back behind it.
    """

    async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
        """Take ``charge`` and ``concurrency`` places, all or nothing, under the name ``reservation``.

        Raises :class:`deployments.errors.RateLimitExceeded`, :class:`ConcurrencyExceeded`, :class:`InsufficientQuota`,
        :class:`WorkExceedsLimit` where no wait would help, and :class:`Unavailable` when the store is lost and the
        operator wants no request admitted then. A reservation that is repeated is taken once.
        """

    async def renew(self, reservations: Sequence[tuple[str, str]]) -> None:
        """The requests behind these (tenant, reservation) still run: places that nobody renews are free again."""

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        """Give the places back, and of the charge what was not ``spent``. Repeating it changes nothing."""

    async def levels(self, tenant: str, limits: Limits) -> Levels:
        """What is left of each limit."""
