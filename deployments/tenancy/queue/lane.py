"""What tenants have had of the turns of one urgency, and the order in which each of them wants its own."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import NamedTuple

from deployments.tenancy.queue.fairness import Backlog

FORGOTTEN_AT_ONCE = 8


class Order(NamedTuple):
    """Where a request stands among those of its tenant: by band, by the time it is due, by its arrival."""

    rank: int
    due: float
    number: int
    id: str


class Lane:
    """A tenant is backlogged while it has a request waiting in here. All figures are in work units per weight.

    Its *service* is what its ended requests have cost, on a scale that is common to all tenants; its *counter* adds
    the charges of those under way. Who becomes backlogged is lifted: its service counts as no less than the *level*.
    That is the least service of a backlogged tenant, or where there is none, of the one which was served last; it
    never falls. So having been idle is worth nothing, and idle tenants below the level need not be remembered.
    """

    def __init__(self) -> None:
        self._services: dict[str, float] = {}
        self._charged: defaultdict[str, float] = defaultdict(float)
        self._under_way: Counter[str] = Counter()
        self._orders: dict[str, list[Order]] = {}
        self._since: dict[str, float] = {}
        self._last: str | None = None
        self._level = 0.0

    @property
    def counters(self) -> dict[str, float]:
        """Of all tenants that are remembered."""
        return {tenant: self._counter(tenant) for tenant in self._services}

    @property
    def backlog(self) -> Backlog:
        """The backlogged tenants."""
        counters = {tenant: self._counter(tenant) for tenant in self._orders}
        return Backlog(counters, {tenant: self._services[tenant] for tenant in self._orders}, dict(self._since))

    def add(self, tenant: str, order: Order, now: float) -> None:
        """Have a request wait."""
        if tenant not in self._orders:
            self._lift(tenant)
            self._orders[tenant], self._since[tenant] = [], now
        insort(self._orders[tenant], order)

    def remove(self, tenant: str, order: Order) -> None:
        """It waits no more."""
        orders = self._orders[tenant]
        del orders[bisect_left(orders, order)]
        if not orders:
            del self._orders[tenant], self._since[tenant]

    def first(self) -> Order | None:
        """The first request of the tenant with the least counter."""
        if not self._orders:
            return None
        return self._orders[min(self._orders, key=lambda tenant: (self._counter(tenant), tenant))][0]

    def serve(self, tenant: str, charge: float) -> None:
        """The tenant has a turn."""
        self._charge(tenant, charge)
        self._last = tenant

    def resume(self, tenant: str, charge: float) -> None:
        """A request is under way that has had its turn elsewhere."""
        if tenant not in self._orders:
            self._lift(tenant)
        self._charge(tenant, charge)

    def settle(self, tenant: str, charge: float, cost: float) -> None:
        """A request that was charged so much has ended, and has cost so much."""
        self._under_way[tenant] -= 1
        self._charged[tenant] -= charge
        if not self._under_way[tenant]:
            del self._under_way[tenant], self._charged[tenant]
        self._services[tenant] += cost

    def forget(self) -> None:
        """Drop tenants that are idle, have nothing under way and would be lifted."""
        self._rise()
        idle = ((service, tenant) for tenant, service in self._services.items() if tenant not in self._orders)
        below = heapq.nsmallest(FORGOTTEN_AT_ONCE, (pair for pair in idle if pair[0] < self._level))
        for _, tenant in below:
            if tenant not in self._under_way:
                del self._services[tenant]

    def check_integrity(self) -> None:
        """Raise unless every part tells the same."""
        if not self._orders.keys() == self._since.keys() <= self._services.keys():
            raise RuntimeError("the backlogged tenants and the services do not match")
        if not self._under_way.keys() == self._charged.keys() <= self._services.keys():
            raise RuntimeError("the charges and the services do not match")
        if any(not orders or orders != sorted(orders) for orders in self._orders.values()):
            raise RuntimeError("the requests of a tenant are out of order")
        if any(self._services[tenant] < self._level for tenant in self._orders):
            raise RuntimeError("a backlogged tenant is below the level")

    def _counter(self, tenant: str) -> float:
        return self._services[tenant] + self._charged.get(tenant, 0.0)

    def _charge(self, tenant: str, charge: float) -> None:
        self._charged[tenant] += charge
        self._under_way[tenant] += 1

    def _lift(self, tenant: str) -> None:
        """Take away what an idle tenant could not have had."""
        self._rise()
        self._services[tenant] = max(self._services.get(tenant, self._level), self._level)

    def _rise(self) -> None:
        if self._orders:
            self._level = max(self._level, min(map(self._services.__getitem__, self._orders)))
        elif self._last in self._services:
            self._level = max(self._level, self._services[self._last])
