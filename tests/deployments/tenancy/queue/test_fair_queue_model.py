"""Random sequences of calls: what the queue promises holds behind every one of them."""

from __future__ import annotations

from itertools import combinations, count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from deployments.errors import DeadlineExceeded, QueueFull
from deployments.tenancy.queue.fair_queue import VirtualCounterQueue, charge_of, lane_of
from deployments.tenancy.queue.queue import Waiting

CAP = 4
MOST_WORK = 16

WEIGHTS = {"acme": 1.0, "rival": 4.0, "third": 0.5}
TENANTS = st.sampled_from(sorted(WEIGHTS))
BANDS = st.sampled_from(["interactive", "default", "default", "flex"])


class QueueMachine(RuleBasedStateMachine):
    """Work and weights are such that no rounding blurs a bound."""

    can_resume = False

    def __init__(self) -> None:
        super().__init__()
        self.queue, self.now, self.places = VirtualCounterQueue(), 1_000.0, 1
        self.numbers = count()
        self.waiting: dict[str, tuple[int, Waiting]] = {}
        self.running: dict[str, Waiting] = {}
        self.most_running, self.greatest = 0, 0.0
        self.served: dict[str, float] = dict.fromkeys(WEIGHTS, 0.0)
        self.joint: dict[tuple[str, str], tuple[float, float]] = {}

    def dispatch(self) -> None:
        turns = self.queue.dispatch(self.places, self.now)
        for request in turns.late:
            assert request.deadline is not None
            assert request.deadline <= self.now
            del self.waiting[request.id]
        for request in turns.given:
            assert request.deadline is None or request.deadline > self.now
            if request.band == "flex":
                assert all(other.band == "flex" for _, other in self.waiting.values())
            else:
                self.check_order(request)
            del self.waiting[request.id]
            self.running[request.id] = request
            self.greatest = max(self.greatest, charge_of(request))
            self.most_running = max(self.most_running, len(self.running))

    def check_order(self, request: Waiting) -> None:
        """Nobody of its tenant had to go first."""
        own = [other for _, other in self.waiting.values() if other.tenant == request.tenant]
        if request.band == "default":
            assert all(other.band != "interactive" for other in own)
        peers = [other for other in own if other.band == request.band]
        if request.deadline is not None:
            assert all(other.deadline is None or other.deadline >= request.deadline for other in peers)
        elif all(other.deadline is None for other in peers):
            assert self.waiting[request.id][0] == min(self.waiting[other.id][0] for other in peers)

    @rule(tenant=TENANTS, band=BANDS, work=st.integers(1, MOST_WORK), deadline=st.none() | st.integers(-1, 20))
    def enter(self, tenant: str, band: str, work: int, deadline: int | None) -> None:
        number = next(self.numbers)
        ends = None if deadline is None else self.now + deadline
        request = Waiting(str(number), tenant, work, WEIGHTS[tenant], band, CAP, ends)  # type: ignore[arg-type]
        queued = sum(other.tenant == tenant for _, other in self.waiting.values())
        try:
            for _ in range(2):
                self.queue.enter(request, self.now)
        except DeadlineExceeded:
            assert deadline is not None
            assert deadline <= 0
            return
        except QueueFull:
            assert queued == CAP
            return
        assert queued < CAP
        self.waiting[request.id] = number, request
        self.dispatch()

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 100), share=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    def end(self, which: int, share: float) -> None:
        request = self.running.pop(sorted(self.running)[which % len(self.running)])
        spent = int(request.work * share)
        self.served[request.tenant] += spent / request.weight if request.band != "flex" else 0.0
        for _ in range(2):
            self.queue.end(request.id, spent)
        self.dispatch()

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 100))
    def leave(self, which: int) -> None:
        id = sorted(self.waiting)[which % len(self.waiting)]
        del self.waiting[id]
        self.queue.leave(id)
        self.dispatch()

    @rule(places=st.integers(0, 5))
    def replicas_come_or_go(self, places: int) -> None:
        self.places = places
        self.dispatch()

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.dispatch()

    @precondition(lambda self: self.can_resume)
    @rule(tenant=TENANTS, work=st.integers(1, MOST_WORK))
    def resume(self, tenant: str, work: int) -> None:
        request = Waiting(f"resumed-{next(self.numbers)}", tenant, work, WEIGHTS[tenant])
        for _ in range(2):
            self.queue.resume(request)
        self.running[request.id] = request

    @invariant()
    def it_is_whole_and_no_place_is_empty_while_something_waits(self) -> None:
        self.queue.check_integrity()
        assert {request.id for request in self.queue.waiting} == self.waiting.keys()
        assert self.queue.running == len(self.running)
        assert not self.waiting or len(self.running) >= self.places

    @invariant()
    def no_counter_is_further_above_a_service_than_the_bound(self) -> None:
        bound = self.greatest * self.most_running
        for lane in self.queue.lanes:
            backlog = lane.backlog
            if backlog.counters and not self.can_resume:
                assert max(backlog.counters.values()) - min(backlog.services.values()) <= bound

    @invariant()
    def work_done_over_a_common_backlog_is_within_twice_the_bound(self) -> None:
        bound = 2 * self.greatest * self.most_running
        backlogged = self.queue.lanes[0].backlog.counters
        for pair in combinations(sorted(WEIGHTS), 2):
            if self.can_resume or not backlogged.keys() >= set(pair):
                self.joint.pop(pair, None)
                continue
            ahead = self.served[pair[0]] - self.served[pair[1]]
            least, most = self.joint.get(pair, (ahead, ahead))
            self.joint[pair] = least, most = min(least, ahead), max(most, ahead)
            assert most - least <= bound

    @invariant()
    def a_counter_is_the_service_and_what_is_under_way(self) -> None:
        for number, lane in enumerate(self.queue.lanes):
            backlog = lane.backlog
            for tenant, counter in backlog.counters.items():
                own = (each for each in self.running.values() if each.tenant == tenant and lane_of(each) == number)
                assert counter == backlog.services[tenant] + sum(map(charge_of, own))


class WithResumptions(QueueMachine):
    can_resume = True


SETTINGS = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_the_queue_keeps_its_bounds() -> None:
    run_state_machine_as_test(QueueMachine, settings=SETTINGS)


def test_with_requests_from_other_gateways_it_stays_whole() -> None:
    run_state_machine_as_test(WithResumptions, settings=SETTINGS)
