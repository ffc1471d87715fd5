from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals.arrival import Arrival
from loadtest.running.dispatcher import dispatch
from tests.loadtest.cases import ARRIVAL


@dataclass
class World:
    """Time passes by sleeping, and by handing over, which takes ``busy`` seconds."""

    busy: float = 0.0
    now: float = 0.0
    handed: list[tuple[float, float]] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def hand(self, arrival: Arrival) -> None:
        self.handed.append((arrival.at, self.now))
        self.now += self.busy


def arrivals(times: list[float]) -> list[Arrival]:
    from dataclasses import replace

    return [replace(ARRIVAL, at=at) for at in sorted(times)]


@given(st.lists(st.floats(0, 100), max_size=30), st.floats(0, 5))
def test_nothing_begins_early_and_nothing_is_left_out(times: list[float], busy: float) -> None:
    world = World(busy)
    dispatch(arrivals(times), lambda: world.now, world.sleep, world.hand)
    assert [at for at, _ in world.handed] == sorted(times)
    assert all(now >= at - 1e-9 for at, now in world.handed)


def test_what_is_late_is_caught_up_with_and_not_put_off() -> None:
    world = World(busy=2.0)
    dispatch(arrivals([1.0, 2.0, 3.0, 20.0]), lambda: world.now, world.sleep, world.hand)
    assert [now for _, now in world.handed] == [1.0, 3.0, 5.0, 20.0]
