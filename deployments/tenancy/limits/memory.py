"""Limits that are counted in this process alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deployments.tenancy.limits.bounds import COUNTS_SECONDS, KEEP_SECONDS
from deployments.tenancy.limits.counts import Counts, Taken
from deployments.tenancy.limits.limiter import Charge, Levels
from deployments.tenancy.limits.verdict import levels_of, refusal_of
from deployments.tenancy.tenant import Limits, Tenant


@dataclass(slots=True)
class _Kept:
    """A reservation; times are in milliseconds."""

    taken: Taken
    lease_until: int
    keep_until: int


@dataclass(slots=True)
class _Account:
    """One tenant's counts and reservations, the ones that are forgotten first in front."""

    counts: Counts = field(default_factory=Counts)
    kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    forget_at: int = 0

    def held(self, now: int) -> int:
        """Places that somebody has."""
        return sum(each.taken.places for each in self.kept.values() if each.lease_until > now)


class MemoryLimiter:
    """A :class:`deployments.tenancy.limits.limiter.Limiter`. ``clock`` is in Unix seconds."""

    def __init__(self, clock: Callable[[], float], lease_seconds: float) -> None:
        self._clock, self._lease = clock, round(lease_seconds * 1000)
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    async def reserve(self, tenant: Tenant, reservation: str, charge: Charge, concurrency: int = 1) -> Levels:
        account = self._account(tenant.name)
        counts = account.counts.after(self._now()).under(tenant.limits)
        now, held = counts.at, account.held(counts.at)
        if reservation in account.kept:
            return levels_of(counts, tenant.limits, held)
        refusal = refusal_of(counts, tenant.limits, charge, concurrency, held)
        if refusal is not None:
            raise refusal
        account.counts, taken = counts.reserved(charge, concurrency)
        account.kept[reservation] = _Kept(taken, now + self._lease, now + KEEP_SECONDS * 1000)
        self._keep(tenant.name, account)
        return levels_of(account.counts, tenant.limits, held + concurrency)

    async def renew(self, reservations: Sequence[tuple[str, str]]) -> None:
        for tenant, reservation in reservations:
            account = self._account(tenant)
            kept = account.kept.get(reservation)
            if kept is not None:
                now = max(self._now(), account.counts.at)
                kept.lease_until, kept.keep_until = now + self._lease, now + KEEP_SECONDS * 1000
                account.kept.move_to_end(reservation)
                self._keep(tenant, account)

    async def settle(self, tenant: str, reservation: str, spent: Charge) -> None:
        account = self._account(tenant)
        kept = account.kept.pop(reservation, None)
        if kept is not None:
            account.counts = account.counts.after(self._now()).settled(kept.taken, spent)
            self._keep(tenant, account)

    async def levels(self, tenant: str, limits: Limits) -> Levels:
        account = self._account(tenant)
        counts = account.counts.after(self._now()).under(limits)
        return levels_of(counts, limits, account.held(counts.at))

    def __len__(self) -> int:
        """Tenants of whom something is counted."""
        return len(self._accounts)

    def holds(self, tenant: str, reservation: str) -> bool:
        """Whether there is such a reservation that has not been settled."""
        return reservation in self._account(tenant).kept

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _account(self, tenant: str) -> _Account:
        """The tenant's account without what is forgotten by now; a new one is kept when something is put there."""
        now = self._now()
        while self._accounts and next(iter(self._accounts.values())).forget_at <= now:
            self._accounts.popitem(last=False)
        account = self._accounts.get(tenant) or _Account()
        while account.kept and next(iter(account.kept.values())).keep_until <= now:
            account.kept.popitem(last=False)
        return account

    def _keep(self, name: str, account: _Account) -> None:
        account.forget_at = self._now() + COUNTS_SECONDS * 1000
        self._accounts[name] = account
        self._accounts.move_to_end(name)
