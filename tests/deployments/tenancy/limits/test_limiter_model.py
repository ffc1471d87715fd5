"""Random sequences of calls, with a clock of their own: the script decides and counts as the twin in memory does, and
what both admit keeps within the limits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from deployments.errors import ServingError
from deployments.tenancy.limits.bounds import KEEP_SECONDS
from deployments.tenancy.limits.limiter import Charge, Levels
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.limits.redis import RedisLimiter
from deployments.tenancy.tenant import Limits, Tenant
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.limits.limiters import DAY, DECEMBER, LEASE, Clock, connected

LIMITS = Limits(
    requests_per_minute=7, tokens_per_minute=50, work_per_minute=90, concurrency=4, work_per_day=200, work_per_month=300
)
OTHERS = (
    LIMITS,
    LIMITS,
    Limits(),
    Limits(requests_per_minute=3, work_per_minute=2_000_000_000, concurrency=2, work_per_day=150),
    Limits(tokens_per_minute=20, work_per_month=400),
)
IDS = st.sampled_from("abcdef")
CHARGES = st.builds(Charge, st.integers(0, 2), st.integers(0, 30), st.integers(0, 60))
SECONDS = st.sampled_from([0.0, 0.001, 1 / 3, 0.9, 5.0, LEASE, 31.7, 60.0, -2.0, 40_000.0])


@dataclass
class Reserved:
    """What the model keeps of a reservation that was admitted."""

    at: float
    charge: Charge
    places: int
    lease_until: float


class LimiterMachine(RuleBasedStateMachine):
    """Requests of one tenant at two limiters. Limits change, and time steps back.

    All of it happens before the first reservation is forgotten, which the server does by a clock of its own.
    """

    limits: ClassVar[tuple[Limits, ...]] = OTHERS

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        place.flush()
        self.clock, self.client = Clock(DECEMBER - 100.0), connected(place)
        self.end = self.clock.now + KEEP_SECONDS
        self.memory, self.redis = MemoryLimiter(self.clock, LEASE), RedisLimiter(self.client, LEASE, self.clock)
        self.admitted: list[Reserved] = []
        self.open: dict[str, Reserved] = {}

    def teardown(self) -> None:
        self.runner.run(self.client.close())
        self.runner.close()

    def both(self, *calls: Coroutine[Any, Any, Levels | None]) -> Levels | ServingError | None:
        """What both answer, which is the same."""
        first, second = (self.outcome(call) for call in calls)
        assert describe(first) == describe(second)
        return first

    def outcome(self, call: Coroutine[Any, Any, Levels | None]) -> Levels | ServingError | None:
        try:
            return self.runner.run(call)
        except ServingError as error:
            return error

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        if self.clock.now + seconds < self.end:
            self.clock.now += seconds

    @rule(id=IDS, charge=CHARGES, places=st.integers(0, 3), number=st.integers(0, 9))
    def reserve(self, id: str, charge: Charge, places: int, number: int) -> None:
        tenant = Tenant("acme", limits=self.limits[number % len(self.limits)])
        answer = self.both(*(each.reserve(tenant, id, charge, places) for each in (self.memory, self.redis)))
        if isinstance(answer, Levels) and id not in self.open:
            self.open[id] = Reserved(self.clock.now, charge, places, self.clock.now + LEASE)
            self.admitted.append(self.open[id])

    @rule(id=IDS, spent=CHARGES)
    def settle(self, id: str, spent: Charge) -> None:
        self.both(*(each.settle("acme", id, spent) for each in (self.memory, self.redis)))
        reserved = self.open.pop(id, None)
        if reserved is not None:
            reserved.charge = smaller(reserved.charge, spent)

    @rule(ids=st.lists(IDS, max_size=3))
    def renew(self, ids: list[str]) -> None:
        self.renew_both(ids)

    def renew_both(self, ids: list[str]) -> None:
        self.both(*(each.renew([("acme", id) for id in ids]) for each in (self.memory, self.redis)))
        for id in ids:
            if id in self.open:
                self.open[id].lease_until = self.clock.now + LEASE

    @rule(number=st.integers(0, 9))
    def levels(self, number: int) -> None:
        limits = self.limits[number % len(self.limits)]
        self.both(*(each.levels("acme", limits) for each in (self.memory, self.redis)))


class BoundedMachine(LimiterMachine):
    """Nothing may be exceeded as long as the limits stay, time goes on, and nobody renews a lease that has ended."""

    limits = (LIMITS,)

    @rule(seconds=SECONDS.map(abs))
    def time_passes(self, seconds: float) -> None:
        if self.clock.now + seconds < self.end:
            self.clock.now += seconds

    @rule(ids=st.lists(IDS, max_size=3))
    def renew(self, ids: list[str]) -> None:
        self.renew_both([id for id in ids if id in self.open and self.open[id].lease_until > self.clock.now])

    @invariant()
    def no_window_admits_more_than_a_minute_and_its_length(self) -> None:
        for first in self.admitted:
            inside = [each.charge for each in self.admitted if each.at >= first.at]
            minutes = 1 + (self.clock.now - first.at + 0.001) / 60
            for name in ("requests", "tokens", "work"):
                limit = getattr(LIMITS, f"{name}_per_minute")
                assert sum(getattr(charge, name) for charge in inside) <= limit * minutes

    @invariant()
    def no_budget_is_overdrawn(self) -> None:
        days, months = Counter[float](), Counter[bool]()
        for each in self.admitted:
            days[each.at // DAY] += each.charge.work
            months[each.at >= DECEMBER] += each.charge.work
        assert max(days.values(), default=0) <= 200
        assert max(months.values(), default=0) <= 300

    @invariant()
    def no_more_places_are_taken_than_there_are(self) -> None:
        assert sum(each.places for each in self.open.values() if each.lease_until > self.clock.now) <= 4


def test_the_script_does_what_the_twin_in_memory_does(valkey: Place) -> None:
    run(LimiterMachine, valkey, max_examples=60)


def test_nothing_is_admitted_beyond_a_limit(valkey: Place) -> None:
    run(BoundedMachine, valkey, max_examples=60)


def run(kind: type[LimiterMachine], place: Place, max_examples: int) -> None:
    class Machine(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(place)

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=max_examples, stateful_step_count=40, deadline=None)
    )


def smaller(first: Charge, second: Charge) -> Charge:
    """The smaller number of each."""
    return Charge(min(first.requests, second.requests), min(first.tokens, second.tokens), min(first.work, second.work))


def describe(outcome: Levels | ServingError | None) -> object:
    """What can be compared."""
    if isinstance(outcome, ServingError):
        return type(outcome), str(outcome), outcome.details, outcome.retry_after
    return outcome
