"""All pools are seen once in a round and decided together, whatever else goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from deployments.autoscaling.conductor import HELD_INTERVALS, Conductor, Round
from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.deliberation import Deciding
from deployments.autoscaling.observe import PoolSight
from deployments.autoscaling.sample import Decision, History, PoolSpec, Reason, Verdict
from tests.deployments.autoscaling.seen import NOW, queue, replica, spec

CONFIG = AutoscalingConfig(interval_seconds=2.0, stale_seconds=15.0, history_seconds=10.0)
A, B = spec("a"), spec("b")


@dataclass
class Stage:
    """A conductor whose decisions are one replica more than there are, or fail."""

    now: float = NOW
    fails: bool = False
    looks: list[str] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    sights: dict[str, PoolSight] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.conductor = Conductor(CONFIG, self.decide, self.rounds.append)

    def decide(self, history: History, specs: Sequence[PoolSpec], now: float, stale: float) -> Decision:
        if self.fails:
            raise ZeroDivisionError
        self.histories.append(history)
        assert stale == CONFIG.stale_seconds
        last = {each.name: history.samples[each.name][-1] for each in specs if history.samples[each.name]}
        reason = Reason("load", 1, "more")
        return Decision(now, {name: Verdict(s.target, s.target + 1, "none", (reason,)) for name, s in last.items()})

    def ask(self, pool: PoolSpec, present: int = 1) -> int | None:
        def look() -> PoolSight:
            self.looks.append(pool.name)
            return self.sights.get(pool.name, PoolSight({"r": replica(self.now)}, present, 1, 5))

        return self.conductor.target(pool.name, present, look, self.now)


def test_all_pools_are_seen_once_in_a_round_and_decided_when_the_first_asks_again() -> None:
    stage = Stage()
    stage.conductor.register(A)
    stage.conductor.register(B)
    assert [stage.ask(A), stage.ask(B)] == [None, None]
    assert not stage.rounds
    stage.now += 0.1
    assert [stage.ask(A), stage.ask(B)] == [2, 2]
    (told,) = stage.rounds
    assert stage.looks == [A.name, B.name] == [each.name for each in told.specs] == list(told.samples)
    assert told.decision is not None
    assert told.decision.targets == {A.name: 2, B.name: 2}
    for _ in range(15):
        stage.now += 0.1
        stage.ask(A), stage.ask(B)
    assert len(stage.rounds) == 1, "the next one is not due"
    for _ in range(10):
        stage.now += 0.1
        stage.ask(A), stage.ask(B)
    assert len(stage.rounds) == 2


def decided(stage: Stage) -> None:
    stage.ask(A)
    stage.now += 0.1
    stage.ask(A)


def test_a_number_that_somebody_else_has_changed_is_left_alone() -> None:
    stage = Stage()
    stage.conductor.register(A)
    decided(stage)
    assert stage.ask(A, present=1) == stage.ask(A, present=2) == 2
    assert stage.ask(A, present=3) is None


def test_a_decision_does_not_hold_for_ever() -> None:
    stage = Stage()
    stage.conductor.register(A)
    stage.conductor.register(B)
    stage.ask(A), stage.ask(B)
    stage.now += 0.1
    assert stage.ask(B) == 2
    stage.now += HELD_INTERVALS * CONFIG.interval_seconds + 0.1
    assert stage.ask(A) is None


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    stage = Stage()
    stage.conductor.register(A)
    decided(stage)
    stage.now -= 3600
    assert stage.ask(A) is None
    stage.now += 0.1
    assert stage.ask(A) == 2
    assert len(stage.rounds) == 2


def test_a_failure_leaves_pools_as_they_are_and_is_told() -> None:
    stage = Stage()
    stage.conductor.register(A)
    decided(stage)
    stage.now, stage.fails = stage.now + 3, True
    decided(stage)
    assert stage.ask(A) is None
    assert [each.decision is None for each in stage.rounds] == [False, True]
    stage.now, stage.fails = stage.now + 3, False
    decided(stage)
    assert stage.ask(A) == 2


def test_while_a_decision_takes_its_time_the_last_one_holds_and_no_other_is_asked_for() -> None:
    stage, thought = Stage(), list[tuple[Deciding, Future[Decision | None]]]()

    def begin(deciding: Deciding) -> Future[Decision | None]:
        thought.append((deciding, Future()))
        return thought[-1][1]

    def conclude() -> None:
        deciding, future = thought[-1]
        future.set_result(deciding())

    stage.conductor = Conductor(CONFIG, stage.decide, stage.rounds.append, begin)
    stage.conductor.register(A)
    decided(stage)
    assert stage.ask(A) is None
    conclude()
    assert stage.ask(A) == 2
    stage.now += CONFIG.interval_seconds
    decided(stage)
    assert len(thought) == 2
    stage.now += CONFIG.interval_seconds
    assert stage.ask(A) == 2
    stage.now += HELD_INTERVALS * CONFIG.interval_seconds
    decided(stage)
    assert stage.ask(A) is None
    assert (len(thought), len(stage.rounds)) == (2, 1)
    conclude()
    decided(stage)
    assert (len(thought), len(stage.rounds)) == (3, 2)


def test_who_is_forgotten_takes_no_part_unless_registered_anew() -> None:
    stage = Stage()
    first = stage.conductor.register(A)
    second = stage.conductor.register(A)
    stage.conductor.forget(A.name, first)
    assert stage.conductor.pools == (A.name,)
    stage.conductor.forget(A.name, second)
    assert not stage.conductor.pools
    assert stage.ask(A) is None
    assert stage.looks == []


def test_samples_know_the_queue_and_the_history_is_bounded() -> None:
    stage = Stage()
    stage.conductor.register(A)
    for _ in range(20):
        stage.conductor.hear({"gateway": {A.group: queue(stage.now, waiting=4, backlog=8.0)}})
        decided(stage)
        stage.now += CONFIG.interval_seconds
    history = stage.histories[-1]
    assert history.samples[A.name][-1].waiting == 4 + 2
    for times in ([each.at for each in history.samples[A.name]], [each.at for each in history.decisions]):
        assert times == sorted(times)
        assert stage.now - 3 * CONFIG.interval_seconds - CONFIG.history_seconds < times[0]


def test_the_least_busy_replicas_of_all_pools_are_known() -> None:
    stage = Stage()
    stage.conductor.register(A)
    sight = PoolSight({"busy": replica(backlog=9.0), "idle": replica(backlog=0.0), "new": None}, 3, 1, 5)
    stage.sights[A.name] = sight
    stage.ask(A)
    assert stage.conductor.least_busy(["new", "busy", "idle"]) == ["idle", "busy", "new"]


class Conducted(RuleBasedStateMachine):
    """Pools come, go and ask in any order; decisions fail now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.tokens: dict[str, object] = {}

    @rule(pool=st.sampled_from([A, B]))
    def register(self, pool: PoolSpec) -> None:
        self.tokens[pool.name] = self.stage.conductor.register(pool)

    @rule(pool=st.sampled_from([A, B]))
    def forget(self, pool: PoolSpec) -> None:
        self.stage.conductor.forget(pool.name, self.tokens.pop(pool.name, None))

    @rule(seconds=st.floats(-1, 20), fails=st.booleans())
    def wait(self, seconds: float, fails: bool) -> None:
        self.stage.now += seconds
        self.stage.fails = fails

    @rule(pool=st.sampled_from([A, B]), present=st.integers(0, 4))
    def ask(self, pool: PoolSpec, present: int) -> None:
        wanted = self.stage.ask(pool, present)
        assert wanted is None or pool.name in self.tokens
        assert wanted is None or present in (wanted, wanted - 1)

    @invariant()
    def rounds_are_whole(self) -> None:
        assert set(self.stage.conductor.pools) == set(self.tokens)
        for told in self.stage.rounds:
            assert {each.name for each in told.specs} == set(told.samples)


TestConducted = pytest.mark.filterwarnings("default")(Conducted.TestCase)
TestConducted.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
