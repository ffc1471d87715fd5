"""The scripts beside the pure queue: the same calls, the same turns, the same counters."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from deployments.errors import DeadlineExceeded, QueueFull
from deployments.tenancy.queue.calls import Moment, News, QueueCalls
from deployments.tenancy.queue.fair_queue import VirtualCounterQueue
from deployments.tenancy.queue.queue import Waiting
from tests.deployments.state.conftest import PlaceOf
from tests.deployments.state.servers import Place
from tests.deployments.tenancy.queue.gateways import LEASE, MODEL, connected

CAP = 4
OWNERS = ("one", "two")
WEIGHTS = {"acme": 1.0, "acme-labs": 0.3, "rival": 3.0, "fourth": 1.0, "fifth": 0.7}
BANDS = ("interactive", "default", "flex")
TENANTS = st.sampled_from(sorted(WEIGHTS))
DEADLINES = st.none() | st.integers(-1, 20)
BURSTS = st.lists(st.tuples(st.sampled_from(BANDS), DEADLINES), min_size=2, max_size=CAP)

T = TypeVar("T")


class ScriptsMachine(RuleBasedStateMachine):
    """Two gateways call the scripts; the pure queue is told the same, and what leases do."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        place.flush()
        self.runner, self.clients = asyncio.Runner(), connected(place)
        self.gateways = {owner: QueueCalls(self.clients, MODEL, owner, LEASE) for owner in OWNERS}
        self.queue, self.now, self.places, self.numbers = VirtualCounterQueue(), 1_000.5, 2, count()
        self.held: dict[str, tuple[Waiting, str]] = {}
        self.leases: dict[str, float] = {}
        self.running: set[str] = set()
        self.owed: dict[str, list[str]] = {owner: [] for owner in OWNERS}

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def teardown(self) -> None:
        for owner in OWNERS:
            self.hear(owner)
        self.run(self.clients.close())
        self.runner.close()

    @property
    def at(self) -> Moment:
        return Moment(self.now, self.places)

    def expect(self) -> None:
        """Have the pure queue give turns, and note what each gateway is to be told."""
        for request in self.queue.expire(self.now):
            self.owed[self.held[request.id][1]].append(f"late {request.id}")
            self.drop(request.id)
        for _, id in sorted((end, id) for id, end in self.leases.items() if end < self.now):
            self.queue.leave(id)
            self.drop(id)
        turns = self.queue.dispatch(self.places, self.now)
        for request in turns.given:
            self.owed[self.held[request.id][1]].append(f"turn {request.id}")
            self.running.add(request.id)

    def drop(self, id: str) -> None:
        self.held.pop(id, None)
        self.leases.pop(id, None)
        self.running.discard(id)

    def compare(self, owner: str, news: News) -> None:
        """The answer has what is due to the caller; what is due to the other one is in its stream."""
        told = [f"turn {id}" for id in news.turns] + [f"late {id}" for id in news.late]
        assert sorted(told) == sorted(self.owed[owner])
        self.owed[owner] = []
        for other in OWNERS:
            self.hear(other)
        self.queue.check_integrity()
        snapshot, held = self.queue.snapshot(), self.run(self.gateways[owner].state())
        assert held == snapshot

    def hear(self, owner: str) -> None:
        if self.owed[owner]:
            news = self.run(self.gateways[owner].hear())
            told = [f"turn {id}" for id in news.turns] + [f"late {id}" for id in news.late]
            assert sorted(told) == sorted(self.owed[owner])
            self.owed[owner] = []

    @rule(owner=st.sampled_from(OWNERS), tenant=TENANTS, burst=BURSTS, work=st.integers(1, 50))
    def enter_many(self, owner: str, tenant: str, burst: list[tuple[str, int | None]], work: int) -> None:
        for band, deadline in burst:
            self.enter(owner, tenant, band, work, deadline)

    @rule(
        owner=st.sampled_from(OWNERS),
        tenant=TENANTS,
        band=st.sampled_from(BANDS),
        work=st.integers(1, 50),
        deadline=DEADLINES,
    )
    def enter(self, owner: str, tenant: str, band: Any, work: int, deadline: int | None) -> None:
        ends = None if deadline is None else self.now + deadline
        request = Waiting(f"req {next(self.numbers)}", tenant, work, WEIGHTS[tenant], band, CAP, ends)
        self.expect()
        try:
            self.queue.enter(request, self.now)
            self.held[request.id], self.leases[request.id], word = (request, owner), self.now + LEASE, "wait"
            self.expect()
        except (DeadlineExceeded, QueueFull) as error:
            word = "late" if isinstance(error, DeadlineExceeded) else "full"
        if request.id in self.running:
            word = "turn"
        news = self.run(self.gateways[owner].enter(request, self.at))
        assert news.word == word
        self.compare(owner, news)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), owner=st.sampled_from(OWNERS))
    def enter_again(self, which: int, owner: str) -> None:
        request, _ = self.held[sorted(self.held)[which % len(self.held)]]
        self.expect()
        if request.id not in self.held:
            self.compare(owner, self.run(self.gateways[owner].renew((), self.at)).news)
            return
        self.held[request.id], self.leases[request.id] = (request, owner), self.now + LEASE
        news = self.run(self.gateways[owner].enter(request, self.at))
        assert news.word == ("turn" if request.id in self.running else "wait")
        self.compare(owner, news)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), owner=st.sampled_from(OWNERS), share=st.sampled_from([0.0, 0.3, 1.0, 2.0]))
    def end(self, which: int, owner: str, share: float) -> None:
        request, _ = self.held[sorted(self.held)[which % len(self.held)]]
        spent = int(request.work * share)
        self.queue.end(request.id, spent)
        self.drop(request.id)
        self.expect()
        self.compare(owner, self.run(self.gateways[owner].end(request, spent, self.at)))
        self.compare(owner, self.run(self.gateways[owner].end(request, spent, self.at)))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), owner=st.sampled_from(OWNERS))
    def leave(self, which: int, owner: str) -> None:
        """Only the gateway that has a request may take it out."""
        request, holder = self.held[sorted(self.held)[which % len(self.held)]]
        if holder == owner:
            self.queue.leave(request.id)
            self.drop(request.id)
        self.expect()
        self.compare(owner, self.run(self.gateways[owner].leave(request, self.at)))

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 99), owner=st.sampled_from(OWNERS))
    def resume(self, which: int, owner: str) -> None:
        request, _ = self.held[sorted(self.held)[which % len(self.held)]]
        self.take_up(request, owner)

    @rule(owner=st.sampled_from(OWNERS), tenant=TENANTS, work=st.integers(1, 50))
    def resume_what_nobody_knows(self, owner: str, tenant: str, work: int) -> None:
        self.take_up(Waiting(f"req {next(self.numbers)}", tenant, work, WEIGHTS[tenant]), owner)

    def take_up(self, request: Waiting, owner: str) -> None:
        self.queue.resume(request)
        self.held[request.id], self.leases[request.id] = (request, owner), self.now + LEASE
        self.running.add(request.id)
        self.expect()
        self.compare(owner, self.run(self.gateways[owner].resume(request, self.at)))

    @rule(owner=st.sampled_from(OWNERS), places=st.integers(0, 4))
    def renew(self, owner: str, places: int) -> None:
        self.places = places
        ids = [*sorted(self.held), "unknown"]
        words = []
        for id in ids:
            holder = self.held[id][1] if id in self.held else None
            words.append("gone" if holder is None else "other" if holder != owner else self.word(id))
            if holder == owner:
                self.leases[id] = self.now + LEASE
        self.expect()
        renewal = self.run(self.gateways[owner].renew(ids, self.at))
        assert list(renewal.states) == words
        self.compare(owner, renewal.news)

    def word(self, id: str) -> str:
        return "turn" if id in self.running else "wait"

    @rule(seconds=st.integers(1, 9))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds


@pytest.mark.parametrize("name", ["valkey-single", pytest.param("redis-single", marks=pytest.mark.full)])
def test_the_scripts_do_as_the_pure_queue(place_of: PlaceOf, name: str) -> None:
    class Machine(ScriptsMachine):
        def __init__(self) -> None:
            super().__init__(place_of(name))

    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))
