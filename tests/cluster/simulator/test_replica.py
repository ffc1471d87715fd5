from __future__ import annotations

from functools import partial

from cluster.simulator.clock import VirtualClock
from cluster.simulator.replica import VirtualReplica
from deployments.run import Progress
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Finish, Request, SamplingParameters
from dllm_worker.simulated.device import SimulatedDevice
from tests.dllm_worker.simulated.devices import spec

CLOCKWORK = SimulatedDevice(floor_seconds=1.0, per_position_seconds=0.0, per_segment_seconds=0.0)
STEPS = SamplingParameters("low_confidence", max_steps=3)


class Listener:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.heard = clock, list[tuple[float, str, Progress]]()

    def __call__(self, request_id: str, progress: Progress) -> None:
        self.heard.append((self.clock.now, request_id, progress))

    def times(self, request_id: str) -> list[float]:
        return [at for at, name, _ in self.heard if name == request_id]


def replica(clock: VirtualClock, places: int = 4) -> VirtualReplica:
    return VirtualReplica("r", spec(), CLOCKWORK, EngineLimits(max_running=places), clock)


def test_a_request_hears_of_its_place_and_of_each_step_at_the_end_of_it() -> None:
    clock = VirtualClock()
    ours, listener = replica(clock), Listener(clock)
    clock.after(2.0, lambda: ours.take(Request("a", max_tokens=8, sampling=STEPS), listener))
    clock.run()
    assert listener.times("a") == [2.0, 3.0, 4.0, 5.0]
    first, last = listener.heard[0][2], listener.heard[-1][2]
    assert (first.replica, first.admitted, first.events) == ("r", False, ())
    assert isinstance(last.events[-1], Finish)
    assert ours.steps == [8, 8, 8]
    ours.check_integrity()


def test_who_comes_during_a_step_joins_the_next_one_if_there_is_a_place() -> None:
    clock = VirtualClock()
    ours, listener = replica(clock, places=1), Listener(clock)
    for at, name in ((0.0, "a"), (0.5, "b")):
        clock.after(at, partial(ours.take, Request(name, max_tokens=8, sampling=STEPS), listener))
    clock.run()
    assert listener.times("a") == [0.0, 1.0, 2.0, 3.0]
    assert listener.times("b") == [0.5, 4.0, 5.0, 6.0]


def test_figures_are_told_once_to_each_reader_and_end_at_nothing() -> None:
    clock = VirtualClock()
    ours, listener = replica(clock), Listener(clock)
    ours.take(Request("a", (5,) * 8, max_tokens=8, sampling=STEPS), listener)
    clock.run()
    told = [progress.figures for _, _, progress in listener.heard if progress.figures is not None]
    assert told[0].backlog == 0
    assert told[1].backlog > told[-1].backlog == 0
    assert told[-1].rate == 8.0
    assert ours.figures.free_places == 4
