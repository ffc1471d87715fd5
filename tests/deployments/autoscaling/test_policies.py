"""What the signals ask for, and policies by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from deployments.autoscaling.config import FloorConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.demand import arriving, capacity_per_replica, cold_start_seconds
from deployments.autoscaling.policies.burn import burn
from deployments.autoscaling.policies.named import SHIPPED, policy_named
from deployments.autoscaling.policies.schedule import holds
from deployments.autoscaling.sample import History, PoolSample, PoolSpec, Reason
from tests.deployments.autoscaling.scenarios import sample, spec

HERE = __name__
SAMPLE = sample(0.0, 4, load=0.9, burn=3.0, running=30)


def half_the_places(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    """An operator's own: twice the places that are taken."""
    running = samples[-1].running
    wanted = -(-2 * running // spec.places)
    return [Reason("places", wanted, f"{running} run, and there are to be twice the places")]


def wrong(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[int]:
    return [1]


def failing(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
    raise ZeroDivisionError("of its own")


class Made:
    def __init__(self, samples: object, spec: object, now: object) -> None: ...


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("tensor_core", {"load", "queue"}),
        ("queue_wait", {"queue"}),
        ("slo", {"burn", "queue"}),
        ("schedule", {"schedule"}),
        ("composite", {"load", "queue", "burn"}),
    ],
)
def test_the_shipped_policies_look_at_these_signals(name: str, signals: set[str]) -> None:
    assert {reason.signal for reason in SHIPPED[name]([SAMPLE], spec(), 0.0)} == signals


def test_the_operators_own_policy_decides() -> None:
    own = spec(scaling=ScalingConfig(policy=f"{HERE}:half_the_places"))
    verdict = decide(History({"a": [SAMPLE]}), [own], 0.0, 15.0).verdicts["a"]
    assert verdict.after == 4
    grown = decide(History({"a": [replace(SAMPLE, running=48)]}), [own], 0.0, 15.0).verdicts["a"]
    assert grown.explain() == "4 -> 6: 48 run, and there are to be twice the places"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("tensorcore", "is none of tensor_core, queue_wait, slo, schedule, composite"),
        ("no_such_package.module:policy", "cannot be imported: ModuleNotFoundError"),
        (f"{HERE}:missing", "cannot be imported: AttributeError"),
        (f"{HERE}:HERE", "is no function"),
        (f"{HERE}:Made", "is no function"),
        (f"{HERE}:wrong", "fails on a sample: TypeError: 1 is no reason"),
        (f"{HERE}:failing", "fails on a sample: ZeroDivisionError: of its own"),
        (f"{HERE}:sample", "fails on a sample"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(name: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as refused:
        policy_named(name)
    assert name in str(refused.value)


@pytest.mark.parametrize(("rate", "wanted"), [(0.4, 0), (0.8, 4), (1.05, 4), (1.5, 6), (9.0, 8)])
def test_a_burning_objective_asks_for_up_to_twice_the_replicas(rate: float, wanted: int) -> None:
    assert [each.wanted for each in burn([replace(SAMPLE, burn=rate)], spec(), 0.0)] == [wanted]


def test_after_a_growth_the_burn_asks_for_no_more_until_it_had_an_effect() -> None:
    grown = [replace(SAMPLE, at=0.0, target=4), replace(SAMPLE, at=5.0, target=6)]
    assert [each.wanted for each in burn(grown, spec(), 5.0)] == [6]
    later = [*grown, replace(SAMPLE, at=40.0, target=6, replicas=6)]
    assert [each.wanted for each in burn(later, spec(), 40.0)] == [12]


def test_the_cold_start_is_the_one_that_was_seen() -> None:
    assert cold_start_seconds([SAMPLE], spec()) == spec().scaling.cold_start_seconds
    course = [
        sample(0.0, 1),
        sample(5.0, 1, target=3),
        sample(20.0, 2, target=3),
        sample(30.0, 3),
        sample(40.0, 3, target=4),
        sample(45.0, 3),
    ]
    assert cold_start_seconds(course, spec()) == 25.0, "the second growth was taken back"


def test_what_arrives_is_what_is_done_and_what_the_backlog_grows_by() -> None:
    course = [sample(2.0 * number, 2, waiting=5, backlog=1000.0 * number) for number in range(4)]
    assert arriving(course[:1]) == 2000.0
    assert arriving(course) == 2500.0
    assert arriving([replace(course[0], waiting=0), *course[1:2]]) == 2000.0


def test_the_capacity_is_the_best_that_was_seen() -> None:
    course = [sample(0.0, 2, rate=3000.0), sample(1.0, 2, rate=5000.0), sample(2.0, 0, rate=None)]
    assert capacity_per_replica(course) == 2500.0
    assert capacity_per_replica(course[2:]) is None


@pytest.mark.parametrize(
    ("day", "clock", "is_held"),
    [(5, "21:59", False), (5, "22:00", True), (5, "23:59", True), (6, "01:59", True), (6, "02:00", False),
     (6, "22:00", False), (5, "01:00", False)],
)  # fmt: skip
def test_a_floor_over_midnight_belongs_to_the_day_on_which_it_begins(day: int, clock: str, is_held: bool) -> None:
    monday_night = FloorConfig(replicas=2, start="22:00", end="02:00", days=[0])
    moment = datetime.fromisoformat(f"2026-01-0{day}T{clock}").replace(tzinfo=UTC).timestamp()
    assert holds(monday_night, moment) is is_held


def test_a_floor_that_ends_as_it_starts_holds_for_a_day() -> None:
    always = FloorConfig(replicas=2, start="08:00", end="08:00")
    assert all(holds(always, 3600.0 * hour) for hour in range(48))
