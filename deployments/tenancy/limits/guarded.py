"""Limits that go on in some way while the place is lost where all gateways count together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Literal, ParamSpec, TypeVar

from deployments.errors import ServingError, Unavailable, WorkExceedsLimit
from deployments.state.store import StateUnavailable
from deployments.telemetry.metrics import Metrics
from deployments.telemetry.names import LIMIT_DECISIONS
from deployments.tenancy.limits.breaker import Breaker
from deployments.tenancy.limits.counts import Counts
from deployments.tenancy.limits.limiter import Charge, Levels, Limiter
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.limits.settlements import Settlements, Sleep
from deployments.tenancy.limits.verdict import refusal_of
from deployments.tenancy.tenant import Limits, Tenant

logger = logging.getLogger(__name__)

WithoutState = Literal["deny", "local", "allow"]

P = ParamSpec("P")
T = TypeVar("T")

NO_LIMITS = Limits(queued=None)


class _NotAsked(StateUnavailable):
    """The store failed a moment ago, so this call was kept from it."""


class GuardedLimiter:
    """Counts with ``shared`` while that answers. While it does not, ``deny`` refuses every request, ``local`` has this
    gateway count its part of each limit, which is one of as many parts as there are ``gateways``, and ``allow`` counts
    nothing. After a failure only one request a second waits to find out whether ``shared`` answers again.

    Each request is settled where it was reserved; ``shared`` hears of it later when it does not answer. A reservation
    of which nobody knows whether it was taken is given back there, and counts here alone.

    What ``local`` may admit beyond a limit: as much again as was admitted together before, which is at most a whole
    bucket, budget or number of places, since the parts begin with nothing taken; 1 at each gateway, of a limit below
    their number; and the parts of gateways that come later, of which nobody hears then. A request that fits the limit
    and not this gateway's part of it is refused as the service's fault.
    """

    def __init__(
        self,
        shared: Limiter,
        gateways: Callable[[], int],
        clock: Callable[[], float],
        without_state: WithoutState,
        metrics: Metrics,
        lease_seconds: float,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._shared, self._gateways, self._clock = shared, gateways, clock
        self._without_state, self._metrics = without_state, metrics
        self._alone = MemoryLimiter(clock, lease_seconds)
        self._breaker = Breaker()
        self._settlements = Settlements(shared, sleep=sleep)

    @property
    def is_degraded(self) -> bool:
        """Whether ``shared`` did not answer when it was last asked."""
        return self._breaker.is_open

    @property
    def unsettled(self) -> int:
        """Reservations that ``shared`` has not heard the end of."""
        return self._settlements.pending

    async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
        try:
            levels = await self._reserve(tenant, reservation, charge, concurrency)
        except ServingError as error:
            limit, mode = error.details.get("limit", "state"), error.details.get("limits_mode", "shared")
            self._metrics.record(LIMIT_DECISIONS, 1, limit=limit, decision="refused", mode=mode)
            raise
        self._metrics.record(LIMIT_DECISIONS, 1, limit="none", decision="admitted", mode=levels.mode)
        return levels

    async def renew(self, reservations: Sequence[tuple[str, str]]) -> None:
        alone = {each for each in reservations if self._alone.holds(*each)}
        await self._alone.renew(list(alone))
        together = [each for each in reservations if each not in alone]
        if together:
            with suppress(StateUnavailable):
                await self._ask(self._shared.renew, together)

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        if self._alone.holds(tenant, reservation):
            await self._alone.settle(tenant, reservation, spent)
            return
        try:
            await self._ask(self._shared.settle, tenant, reservation, spent)
        except StateUnavailable:
            self._settlements.add(tenant, reservation, spent)
        except asyncio.CancelledError:
            self._settlements.add(tenant, reservation, spent)
            raise

    async def levels(self, tenant: str, limits: Limits) -> Levels:
        try:
            return await self._ask(self._shared.levels, tenant, limits)
        except StateUnavailable:
            levels = await self._alone.levels(tenant, self._part_of(limits))
            return replace(levels, mode=self._without_state)

    async def serve(self) -> None:
        """Settle what could not be settled at once, until cancelled."""
        await self._settlements.serve()

    async def _ask(self, call: Callable[P, Awaitable[T]], *arguments: P.args, **options: P.kwargs) -> T:
        """What ``shared`` answers. Raises :class:`StateUnavailable`, and :class:`_NotAsked` when it was not tried."""
        if not self._breaker.admits(self._clock()):
            raise _NotAsked("the state store did not answer lately")
        try:
            answer = await call(*arguments, **options)
        except StateUnavailable as error:
            self._failed(error)
            raise
        except ServingError:
            self._succeeded()
            raise
        self._succeeded()
        return answer

    async def _reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int) -> Levels:
        try:
            return await self._ask(self._shared.reserve, tenant, reservation, charge, concurrency)
        except _NotAsked:
            pass
        except StateUnavailable:
            self._settlements.add(tenant.name, reservation, Charge())
        except asyncio.CancelledError:
            self._settlements.add(tenant.name, reservation, Charge())
            raise
        try:
            return await self._reserve_alone(tenant, reservation, charge, concurrency)
        except ServingError as error:
            error.details["limits_mode"] = self._without_state
            raise

    async def _reserve_alone(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int) -> Levels:
        part = self._part_of(tenant.limits)
        try:
            levels = await self._alone.reserve(replace(tenant, limits=part), reservation, charge, concurrency)
        except WorkExceedsLimit as error:
            raise _beyond_whole_limits(tenant.limits, charge, concurrency) or Unavailable(
                "The limits of all gateways cannot be counted now, and this request is too large for a part of them."
            ) from error
        return replace(levels, mode=self._without_state)

    def _part_of(self, limits: Limits) -> Limits:
        """What this gateway may admit alone. Raises :class:`Unavailable` when that is nothing."""
        if self._without_state == "deny":
            raise Unavailable("The limits cannot be counted now. Retry later.")
        return NO_LIMITS if self._without_state == "allow" else part_of(limits, max(1, self._gateways()))

    def _failed(self, error: StateUnavailable) -> None:
        if not self.is_degraded:
            logger.error("limits go on as %r: %s", self._without_state, error)
        self._breaker.failed(self._clock())

    def _succeeded(self) -> None:
        if self.is_degraded:
            logger.warning("limits are counted by all gateways together again")
        self._breaker.succeeded()


def part_of(limits: Limits, parts: int) -> Limits:
    """One of so many parts of each limit, rounded down; of a limit that allows anything at least 1."""
    values = {each.name: getattr(limits, each.name) for each in fields(limits)}
    return Limits(**{name: value and max(1, value // parts) for name, value in values.items()})


def _beyond_whole_limits(limits: Limits, charge: Charge, places: int) -> ServingError | None:
    """What a request is told that would fit no empty bucket and no new budget; ``None`` when it would."""
    return refusal_of(Counts().under(limits), limits, charge, places, held=0)
