"""What a gateway knows of a pool, and that it forgets all of it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from deployments.pools.pool import Forecast
from deployments.routing.pace import TOKENS_PER_STEP
from deployments.routing.view import PoolView
from deployments.routing.work import Demand
from deployments.run import Figures, Progress
from dllm_worker.request import Finish, Usage

RUNS = tuple(Demand(f"run {number}", work=100 * (number + 1)) for number in range(4))
NAMES = ("a", "b", "c")


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def view(clock: Clock) -> PoolView:
    """Three replicas, of which each has said that it does 100 position-forwards a second and is idle."""
    view = PoolView(clock, Random(0))
    view.offer(NAMES)
    for name in NAMES:
        view.observe(name, Figures(free_places=4, rate=100.0))
    return view


def send(view: PoolView, demand: Demand, replica: str) -> None:
    view.expect(demand)
    view.sent(replica, demand)


def wait(view: PoolView, replica: str) -> float:
    """The predicted wait in seconds."""
    terms = view.choose(Demand("asked", work=1), [replica]).candidates[0].score
    assert terms is not None
    return terms.wait


def finish(work: int, reason: str = "stop") -> Progress:
    """The last message of a run that settled three tokens a step."""
    usage = Usage(completion_tokens=30, denoising_steps=10, position_forwards=work)
    return Progress(events=(Finish("x", reason, usage),))  # type: ignore[arg-type]


def test_what_was_sent_counts_before_the_replica_says_so(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    assert wait(view, "a") == 1.0
    assert view.choose(RUNS[1], NAMES).replica != "a"


def test_a_run_counts_once_when_new_figures_hold_it(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.heard(RUNS[0], Progress(replica="a", figures=Figures(free_places=4, rate=100.0)))
    assert wait(view, "a") == 1.0
    view.heard(RUNS[0], Progress(figures=Figures(free_places=3, backlog=90, rate=100.0)))
    assert wait(view, "a") == 0.9


def test_figures_from_before_the_replica_had_the_run_do_not_hold_it(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.observe("a", Figures(free_places=4, backlog=20, rate=100.0))
    assert wait(view, "a") == 1.2


def test_a_run_that_ends_takes_its_share_of_the_backlog_with_it(view: PoolView) -> None:
    for run in RUNS[:2]:
        send(view, run, "a")
        view.heard(run, Progress(replica="a"))
    view.observe("a", Figures(free_places=2, backlog=150, rate=100.0))
    view.ended(RUNS[0])
    assert wait(view, "a") == 1.0
    view.ended(RUNS[1])
    assert wait(view, "a") == 0.0


def test_a_run_takes_no_more_with_it_than_it_was_sent_with(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.heard(RUNS[0], Progress(replica="a"))
    view.observe("a", Figures(free_places=2, backlog=900, rate=100.0))
    view.ended(RUNS[0])
    assert wait(view, "a") == 8.0


def test_a_run_that_was_refused_counts_where_it_went_instead(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.sent("b", RUNS[0])
    assert (wait(view, "a"), wait(view, "b")) == (0.0, 1.0)
    view.heard(RUNS[0], Progress(replica="c"))
    assert (wait(view, "b"), wait(view, "c")) == (0.0, 1.0)


def test_what_is_told_of_a_run_after_its_end_is_ignored(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.ended(RUNS[0])
    view.sent("b", RUNS[0])
    view.heard(RUNS[0], Progress(replica="c"))
    view.ended(RUNS[0])
    assert [wait(view, name) for name in NAMES] == [0.0, 0.0, 0.0]
    assert view.in_flight == 0
    view.check_integrity()


def test_figures_told_by_others_count_where_the_replica_is_silent(view: PoolView, clock: Clock) -> None:
    told = Figures(free_places=1, backlog=500, rate=100.0)
    view.publish("a", told)
    assert wait(view, "a") == 0.0
    clock.now += 2
    view.publish("b", told)
    assert wait(view, "b") == 5.0


def test_figures_told_again_unchanged_are_no_news(view: PoolView, clock: Clock) -> None:
    told = Figures(free_places=1, backlog=500, rate=100.0)
    clock.now += 4
    for name in NAMES:
        view.publish(name, told)
    assert not view.choose(RUNS[0], NAMES).stale
    clock.now += 4
    for name in NAMES:
        view.publish(name, told)
    assert not view.choose(RUNS[0], NAMES).stale
    clock.now += 2
    assert view.choose(RUNS[0], NAMES).stale


def test_figures_that_the_replica_repeats_show_that_they_hold(view: PoolView, clock: Clock) -> None:
    clock.now += 5.5
    assert view.choose(RUNS[0], NAMES).stale
    view.observe("b", Figures(free_places=4, rate=100.0))
    assert not view.choose(RUNS[0], NAMES).stale


def test_a_rate_that_was_reached_counts_less_as_time_passes(view: PoolView, clock: Clock) -> None:
    view.observe("a", Figures(free_places=4, rate=400.0))
    for _ in range(30):
        clock.now += 20
        view.observe("a", Figures(free_places=4, rate=40.0))
    send(view, RUNS[0], "a")
    assert view.choose(RUNS[1], ["a"]).candidates[0].view.rate == pytest.approx(40.0, rel=0.3)


def test_before_anybody_says_which_replicas_there_are_those_that_were_heard_of_are_offered(clock: Clock) -> None:
    view = PoolView(clock, Random(0))
    assert not view.offered("a")
    view.observe("a", Figures())
    assert view.offered("a")
    view.offer(["b"])
    assert not view.offered("a")
    assert view.offered("b")


def test_a_replica_that_leaves_is_kept_until_its_last_run_has_ended(view: PoolView) -> None:
    send(view, RUNS[0], "a")
    view.offer(["b", "c"])
    assert not view.offered("a")
    view.check_integrity()
    view.observe("a", Figures(backlog=50, rate=100.0))
    view.ended(RUNS[0])
    view.check_integrity()


def test_a_run_is_worth_moving_by_the_gap_without_it(view: PoolView) -> None:
    for run in RUNS[:2]:
        send(view, run, "a")
        view.heard(run, Progress(replica="a"))
    view.observe("a", Figures(free_places=2, backlog=300, rate=100.0))
    assert view.gap("a", RUNS[0]) == 2.0
    send(view, RUNS[3], "b")
    send(view, RUNS[2], "c")
    assert view.gap("a", RUNS[0]) == -1.0
    assert view.gap("unknown", RUNS[0]) == 0.0
    view.offer(["a"])
    assert view.gap("a", RUNS[0]) == 0.0


def test_a_forecast_needs_a_run_that_has_ended(view: PoolView, clock: Clock) -> None:
    assert view.forecast(RUNS[0]) is None
    send(view, RUNS[1], "a")
    view.heard(RUNS[1], Progress(replica="a", admitted=False))
    clock.now += 3
    view.heard(RUNS[1], Progress())
    clock.now += 4
    view.heard(RUNS[1], finish(work=150))
    view.ended(RUNS[1])
    assert view.pace.rate == 200 / 4
    assert view.forecast(RUNS[0]) == Forecast(wait=0.0, run=2.0)
    view.offer([])
    assert view.forecast(RUNS[0]) is None


def test_a_wait_is_foretold_where_no_replica_has_a_place(view: PoolView, clock: Clock) -> None:
    send(view, RUNS[0], "a")
    view.heard(RUNS[0], Progress(replica="a"))
    clock.now += 1
    view.heard(RUNS[0], finish(work=100))
    view.ended(RUNS[0])
    for name, backlog in zip(NAMES, (600, 300, 900), strict=True):
        view.observe(name, Figures(free_places=0, backlog=backlog, rate=100.0))
    assert view.forecast(RUNS[0]) == Forecast(wait=3.0, run=1.0)
    view.observe("c", Figures(free_places=1, backlog=900, rate=100.0))
    assert view.forecast(RUNS[0]) == Forecast(wait=0.0, run=1.0)
    send(view, RUNS[1], "c")
    assert view.forecast(RUNS[0]) == Forecast(wait=3.0, run=1.0)


def test_no_wait_is_foretold_before_a_replica_was_measured(view: PoolView, clock: Clock) -> None:
    """As when all replicas have just taken the places of others: what lies there is no time yet."""
    send(view, RUNS[0], "a")
    view.heard(RUNS[0], Progress(replica="a"))
    clock.now += 1
    view.heard(RUNS[0], finish(work=100))
    view.ended(RUNS[0])
    view.offer(["new"])
    view.observe("new", Figures(free_places=0, backlog=600))
    assert view.forecast(RUNS[0]) is None
    view.observe("new", Figures(free_places=0, backlog=600, rate=100.0))
    assert view.forecast(RUNS[0]) == Forecast(wait=6.0, run=1.0)


@pytest.mark.parametrize("reason", ["abort", "deadline"])
def test_runs_that_were_cut_short_teach_nothing(view: PoolView, clock: Clock, reason: str) -> None:
    send(view, RUNS[0], "a")
    view.heard(RUNS[0], Progress(replica="a"))
    clock.now += 1
    view.heard(RUNS[0], finish(work=100, reason=reason))
    assert (view.pace.rate, view.pace.tokens_per_step) == (0.0, TOKENS_PER_STEP)


class Life(RuleBasedStateMachine):
    """Runs and replicas come and go in any order, as two threads may tell of them."""

    names = st.sampled_from(NAMES)
    runs = st.sampled_from(RUNS)

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.view = PoolView(self.clock, Random(0))
        self.expected: set[str] = set()

    @rule(names=st.sets(names))
    def offer(self, names: set[str]) -> None:
        self.view.offer(names)

    @rule(run=runs)
    def expect(self, run: Demand) -> None:
        if run.key not in self.expected:
            self.expected.add(run.key)
            self.view.expect(run)

    @rule(run=runs, names=st.lists(names, min_size=1, unique=True))
    def route(self, run: Demand, names: list[str]) -> None:
        choice = self.view.choose(run, names)
        assert choice.replica in names
        self.view.sent(choice.replica, run)

    @rule(run=runs, name=st.sampled_from((*NAMES, "")), backlog=st.none() | st.integers(0, 900))
    def hear(self, run: Demand, name: str, backlog: int | None) -> None:
        figures = None if backlog is None else Figures(backlog=backlog, rate=10.0)
        self.view.heard(run, Progress(replica=name, figures=figures))

    @rule(run=runs)
    def end(self, run: Demand) -> None:
        self.expected.discard(run.key)
        self.view.ended(run)

    @rule(name=names, backlog=st.integers(0, 900), seconds=st.sampled_from((0.0, 1.0, 6.0)), direct=st.booleans())
    def tell(self, name: str, backlog: int, seconds: float, direct: bool) -> None:
        self.clock.now += seconds
        (self.view.observe if direct else self.view.publish)(name, Figures(backlog=backlog, rate=10.0))

    @invariant()
    def adds_up(self) -> None:
        self.view.check_integrity()
        assert self.view.in_flight == len(self.expected)

    def teardown(self) -> None:
        for run in RUNS:
            self.view.ended(run)
        self.view.offer(())
        self.view.check_integrity()
        assert self.view.in_flight == 0
        for name in NAMES:
            assert self.view.choose(RUNS[0], [name]).candidates[0].view.backlog == 0


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
