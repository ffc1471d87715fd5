"""Limits that all gateways count together, on a server that speaks the Redis protocol."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from redis.exceptions import ResponseError

from deployments.state.client import Argument, Client
from deployments.state.store import StateError, StateUnavailable
from deployments.tenancy.limits import scripts
from deployments.tenancy.limits.bounds import COUNTS_SECONDS, KEEP_SECONDS
from deployments.tenancy.limits.buckets import Bucket
from deployments.tenancy.limits.counts import Counts
from deployments.tenancy.limits.keys import LimitKeys
from deployments.tenancy.limits.limiter import Charge, Levels
from deployments.tenancy.limits.periods import Period
from deployments.tenancy.limits.verdict import levels_of, refusal_of
from deployments.tenancy.tenant import Limits, Tenant

RENEWED_AT_ONCE = 256
"""Reservations that one call renews, so that no script holds the server up."""

PROBE = Tenant(":probe")
"""No tenant of the configuration can have this name."""


class RedisLimiter:
    """A :class:`deployments.tenancy.limits.limiter.Limiter`; each call is one script, which runs alone on the server.

    The time is the server's, unless there is a ``clock`` in Unix seconds. Any call may raise
    :class:`deployments.state.store.StateUnavailable`.
    """

    def __init__(self, client: Client, lease_seconds: float, clock: Callable[[], float] | None = None) -> None:
        self._client, self._lease, self._clock = client, round(lease_seconds * 1000), clock

    async def check(self) -> None:
        """Use each script once. Raises :class:`StateError` when the server answers and refuses one."""
        try:
            await self.reserve(PROBE, "probe", Charge())
            await self.renew([(PROBE.name, "probe")])
            await self.levels(PROBE.name, PROBE.limits)
            await self.settle(PROBE.name, "probe", Charge())
        except StateUnavailable as error:
            if isinstance(error.__cause__, ResponseError):
                raise StateError(
                    f"the state store refuses the scripts that count limits, so none would hold: {error.__cause__}"
                ) from error
            raise

    async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
        limits = tenant.limits
        answer = await self._client.run(
            scripts.RESERVE,
            LimitKeys.of(tenant.name, reservation),
            *self._head(),
            *_numbers(limits.requests_per_minute, limits.tokens_per_minute, limits.work_per_minute),
            *(charge.requests, charge.tokens, charge.work),
            *_numbers(limits.concurrency, limits.work_per_day, limits.work_per_month),
            *(concurrency, self._lease, KEEP_SECONDS, reservation),
        )
        fits, held, counts = _read(answer)
        if fits:
            return levels_of(counts, limits, held)
        refusal = refusal_of(counts, limits, charge, concurrency, held)
        if refusal is None:
            raise StateError("the server's counts and this program's do not agree")
        raise refusal

    async def renew(self, reservations: Sequence[tuple[str, str]]) -> None:
        of_tenant = defaultdict(list)
        for tenant, reservation in reservations:
            of_tenant[tenant].append(reservation)
        for tenant, names in of_tenant.items():
            for first in range(0, len(names), RENEWED_AT_ONCE):
                await self._renew(tenant, names[first : first + RENEWED_AT_ONCE])

    async def _renew(self, tenant: str, reservations: list[str]) -> None:
        keys = [LimitKeys.of(tenant, reservation) for reservation in reservations]
        names = (keys[0].counts, keys[0].places, *(each.reservation for each in keys))
        await self._client.run(scripts.RENEW, names, *self._head(), self._lease, KEEP_SECONDS, *reservations)

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        arguments = (*self._head(), spent.requests, spent.tokens, spent.work, reservation)
        await self._client.run(scripts.SETTLE, LimitKeys.of(tenant, reservation), *arguments)

    async def levels(self, tenant: str, limits: Limits) -> Levels:
        numbers = _numbers(limits.requests_per_minute, limits.tokens_per_minute, limits.work_per_minute)
        keys = LimitKeys.of(tenant, "")[:2]
        _, held, counts = _read(await self._client.run(scripts.LEVELS, keys, *self._head(), *numbers))
        return levels_of(counts, limits, held)

    def _head(self) -> tuple[Argument, ...]:
        return "" if self._clock is None else int(self._clock() * 1000), COUNTS_SECONDS


def _numbers(*limits: int | None) -> tuple[int, ...]:
    return tuple(-1 if limit is None else limit for limit in limits)


def _read(answer: list[int]) -> tuple[bool, int, Counts]:
    """Whether the reservation was taken, the places that are held, and the counts."""
    fits, held, now, day, day_spent, month, month_spent, *parts = answer
    requests, tokens, work = (
        Bucket(None if limit < 0 else limit, used, gone)
        for limit, used, gone in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )
    periods = Period(day, day_spent), Period(month, month_spent)
    return bool(fits), held, Counts(now, requests, tokens, work, *periods)
