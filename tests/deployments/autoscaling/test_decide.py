"""What is decided for one pool, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deployments.autoscaling.config import FloorConfig, PaceConfig, PanicConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec, Reason, Verdict
from tests.deployments.autoscaling.scenarios import sample, spec

NOW = 10_000.0
AT_ONCE = PaceConfig(stabilization_seconds=0.0, replicas=100)
CALM = PanicConfig(threshold=1000.0)
PLAIN = ScalingConfig(up=AT_ONCE, down=AT_ONCE, panic=CALM, cold_start_seconds=10.0)


def verdict(
    now: PoolSample, scaling: ScalingConfig = PLAIN, decisions: Sequence[Decision] = (), pool: PoolSpec | None = None
) -> Verdict:
    """On a pool that has been as it is now for twenty seconds."""
    pool = pool or spec(scaling=scaling)
    samples = [replace(now, at=NOW - ago) for ago in (20.0, 10.0, 0.0)]
    return decide(History({"a": samples}, decisions), [pool], NOW, 15.0).verdicts["a"]


def decided(ago: float, before: int, wanted: int, after: int) -> Decision:
    return Decision(NOW - ago, {"a": Verdict(before, after, "none", (Reason("load", wanted, ""),))})


@pytest.mark.parametrize(
    ("replicas", "load", "after"), [(3, 1.0, 4), (3, 0.75, 3), (3, 0.82, 3), (3, 0.84, 4), (4, 0.5, 3), (6, 0.1, 1)]
)
def test_load_asks_for_replicas_in_proportion_unless_it_is_near_the_target(
    replicas: int, load: float, after: int
) -> None:
    assert verdict(sample(replicas=replicas, load=load)).after == after


def test_the_reason_says_how_long_it_has_been_so() -> None:
    found = verdict(sample(replicas=3, load=0.91))
    assert found.explain() == "3 -> 4: tensor 0.91 > 0.75 for 20 s; 0 run in 48 places"


def test_a_load_that_rises_is_looked_ahead() -> None:
    loads = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70)
    samples = [sample(NOW - 2.0 * ago, 4, load=load) for ago, load in zip(range(6, -1, -1), loads, strict=True)]
    found = decide(History({"a": samples}), [spec(scaling=PLAIN)], NOW, 15.0).verdicts["a"]
    assert found.after == 5
    assert "rising to 0.90" in found.explain()


def test_replicas_that_start_are_kept_until_the_load_is_below_the_target() -> None:
    assert verdict(sample(replicas=2, target=6, load=1.0)).after == 6
    assert verdict(sample(replicas=2, target=6, load=0.5)).after == 2


def test_a_long_wait_asks_for_what_serves_it() -> None:
    """32 s of work for one replica wait, and as much arrives as is done: ``(32 + 10) / (10 + 2)``."""
    found = verdict(sample(replicas=1, load=0.75, waiting=32, running=16, backlog=40_000.0))
    assert found.after == 4
    assert "wait 32.0 s > 2.0 s" in found.explain()


def test_requests_on_their_way_to_a_free_place_do_not_wait() -> None:
    blink = sample(replicas=1, load=0.75, waiting=2, running=10, backlog=40_000.0)
    assert "wait" not in verdict(replace(blink, waiting=1)).explain()
    assert verdict(replace(blink, waiting=1)).after == 1
    assert "wait" in verdict(blink).explain(), "a good part of all has been waiting for twenty seconds"
    assert "wait" in verdict(replace(blink, waiting=1, running=16)).explain(), "there is no free place"


def test_what_starting_replicas_will_take_is_not_asked_for_again() -> None:
    waiting = sample(replicas=1, load=0.75, waiting=32, running=16, backlog=40_000.0)
    assert verdict(replace(waiting, target=4)).after == 4


def test_the_most_that_a_signal_asks_for_counts() -> None:
    found = verdict(sample(replicas=2, load=0.1, waiting=9, running=32, backlog=40_000.0))
    assert found.after > 2


def test_a_change_up_waits_for_its_window() -> None:
    slow = PLAIN.model_copy(update={"up": PaceConfig(stabilization_seconds=30.0, replicas=100)})
    busy = sample(replicas=3, load=1.0)
    assert verdict(busy, slow).after == 3
    assert verdict(busy, slow, [decided(40, 3, 4, 3), decided(20, 3, 4, 3)]).after == 4
    assert verdict(busy, slow, [decided(40, 3, 4, 3), decided(20, 3, 3, 3)]).after == 3


def test_a_change_down_goes_to_the_largest_number_of_its_window() -> None:
    slow = PLAIN.model_copy(update={"down": PaceConfig(stabilization_seconds=30.0, replicas=100)})
    idle = sample(replicas=6, load=0.1)
    assert verdict(idle, slow).after == 6, "nothing is known of the window yet"
    found = verdict(idle, slow, [decided(40, 6, 5, 6), decided(20, 6, 3, 6)])
    assert (found.after, found.bound) == (3, "pace")
    assert "3 wanted within 30 s" in found.explain()


def test_growth_and_shrinkage_keep_their_pace() -> None:
    paced = PLAIN.model_copy(
        update={
            "up": PaceConfig(replicas=1, share=0.5, period_seconds=20.0),
            "down": PaceConfig(replicas=1, share=0.5, period_seconds=20.0),
        }
    )
    busy = sample(replicas=4, load=0.75, waiting=50, running=64, backlog=400_000.0)
    found = verdict(busy, paced)
    assert (found.after, found.bound) == (6, "pace")
    assert "at most 2 more in 20 s" in found.explain()
    grown = verdict(replace(busy, target=6), paced, [decided(10, 4, 8, 6)])
    assert grown.after == 6, "the two of this period are there"
    assert verdict(sample(replicas=8, load=0.0), paced).after == 4
    assert verdict(sample(replicas=4, load=0.0), paced, [decided(10, 8, 1, 4)]).after == 4


def test_a_panic_knows_no_pace_and_lasts() -> None:
    paced = PLAIN.model_copy(
        update={"up": PaceConfig(replicas=1, share=0.0), "panic": PanicConfig(threshold=2.0, hold_seconds=60.0)}
    )
    busy = sample(replicas=2, load=1.0, waiting=50, running=32, backlog=100_000.0)
    panicked = verdict(busy, paced)
    assert panicked.after == 8
    assert "panic:" in panicked.explain()
    past = [Decision(NOW - 30.0, {"a": panicked})]
    held = verdict(sample(replicas=8, load=0.0), paced, past)
    assert (held.after, held.bound) == (8, "panic")
    assert verdict(sample(replicas=8, load=0.0), paced, [Decision(NOW - 90.0, {"a": panicked})]).after == 1


def test_bounds_hold_and_are_told() -> None:
    top = verdict(sample(replicas=8, load=1.0))
    assert (top.after, top.bound) == (8, "max")
    assert top.explain().endswith("capped by max")
    bottom = verdict(sample(replicas=2, load=0.0, least=2))
    assert (bottom.after, bottom.bound) == (2, "min")
    assert verdict(sample(replicas=6, load=0.9, most=3)).after == 3, "the capacity of the deployment has shrunk"


def test_without_fresh_figures_a_pool_stays_as_it_is() -> None:
    silent = verdict(sample(replicas=3, reporting=0, load=None, rate=None, backlog=None))
    assert (silent.after, silent.bound) == (3, "stale")
    assert "figures of 3 of 3 replicas are older than 15 s: held" in silent.explain()
    old = decide(History({"a": [sample(NOW - 16.0, 5)]}), [spec()], NOW, 15.0).verdicts["a"]
    assert (old.before, old.after, old.bound) == (5, 5, "stale")
    never = decide(History({}), [spec()], NOW, 15.0).verdicts["a"]
    assert (never.before, never.after, never.bound) == (1, 1, "stale")
    lost = decide(History({}, [decided(20, 2, 4, 4)]), [spec()], NOW, 15.0).verdicts["a"]
    assert (lost.before, lost.after) == (4, 4)


def test_silent_replicas_count_as_loaded() -> None:
    found = verdict(sample(replicas=6, reporting=4, load=0.0))
    assert found.after == 2
    assert "figures of 2 of 6 replicas are older than 15 s: counted as loaded" in found.explain()
    assert verdict(sample(replicas=6, reporting=4, load=0.75)).after == 6


def test_an_unknown_queue_keeps_the_pool() -> None:
    found = verdict(sample(replicas=4, load=0.0, waiting=None))
    assert (found.after, found.bound) == (4, "stale")


def test_a_floor_holds_and_is_prepared_for() -> None:
    """The epoch began on a Thursday; NOW is 02:46:40."""
    soon = FloorConfig(replicas=5, start="02:47", end="03:00", days=[3])
    scaling = PLAIN.model_copy(update={"schedule": [soon]})
    assert verdict(sample(replicas=1), scaling).after == 1, "20 seconds are longer than the cold start"
    early = scaling.model_copy(update={"cold_start_seconds": 30.0})
    found = verdict(sample(replicas=1), early)
    assert found.after == 5
    assert "at least 5 from 02:47 to 03:00 UTC" in found.explain()


def test_a_pool_that_sleeps_wakes_at_once_whatever_its_window() -> None:
    slow = PLAIN.model_copy(update={"up": PaceConfig(stabilization_seconds=30.0)})
    asleep = sample(replicas=0, least=0, load=None, rate=None, waiting=1, backlog=500.0)
    found = verdict(asleep, slow, pool=spec(scaling=slow, least=0))
    assert found.after == 1
    assert found.explain() == "0 -> 1: 1 wait, for how long is not known: held; 1 wait and no replica runs"
    assert verdict(replace(asleep, waiting=0), slow, pool=spec(scaling=slow, least=0)).after == 0


def test_a_pool_sleeps_only_when_it_was_idle_for_long_enough() -> None:
    drowsy = ScalingConfig(idle_seconds=20.0)
    pool = spec(scaling=drowsy, least=0)
    idle = sample(replicas=1, least=0)
    assert verdict(idle, pool=pool).after == 0, "whatever the window of changes down"
    always = FloorConfig(replicas=2, start="00:00", end="00:00")
    floored = pool.scaling.model_copy(update={"schedule": [always]})
    assert verdict(replace(idle, replicas=2, target=2, reporting=2), pool=replace(pool, scaling=floored)).after == 2
    patient = pool.scaling.model_copy(update={"idle_seconds": 21.0})
    found = verdict(idle, pool=replace(pool, scaling=patient))
    assert found.after == 1
    assert "idle for 20 s of 21 s" in found.explain()
    assert verdict(replace(idle, load=0.3), pool=pool).after == 0, "the device may have other work"
    assert verdict(replace(idle, running=1), pool=pool).after == 1
    assert verdict(replace(idle, waiting=None), pool=pool).after == 1
    assert verdict(replace(idle, reporting=0), pool=pool).after == 1


def test_a_policy_that_fails_holds_the_pool() -> None:
    lost = PLAIN.model_copy(update={"policy": "no.such.module:policy"})
    found = verdict(sample(replicas=4, load=0.0), lost)
    assert (found.after, found.bound) == (4, "stale")
    assert "no.such.module:policy" in found.explain()
