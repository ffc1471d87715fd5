"""What a gateway reports of the load that its clients make."""

from __future__ import annotations

import asyncio

from deployments.autoscaling.report import QueueReport
from deployments.execution.objectives import Objectives
from deployments.gateway.load import CountedQueue, GatewayLoad, counted
from deployments.telemetry.metrics import MemoryMetrics
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.queue.queue import Waiting
from tests.deployments.gateway.scripted import ScriptedPool, in_memory, model

NAME = "tiny:every"


class Place:
    """One queue of one place, whose requests cost two work units for each position-forward."""

    def __init__(self) -> None:
        self.now = 100.0
        self.metrics = MemoryMetrics()
        self.objectives = Objectives()
        self.queue = CountedQueue(LocalQueue(NAME, lambda: 1, lambda: self.now, self.metrics), 2.0)
        self.load = GatewayLoad({NAME: self.queue}, self.objectives, lambda: self.now)

    async def report(self) -> QueueReport:
        await self.load.look()
        return QueueReport.all_of(self.load.numbers)[NAME]


async def test_what_waits_is_expected_to_cost_what_the_latest_have_cost() -> None:
    place = Place()
    assert place.load.numbers == {}, "nothing is known before the first look"
    assert await place.report() == QueueReport(100.0, 0, 0.0, 0, 0)
    first = Waiting("a", "acme", 1000)
    await place.queue.turn(first)
    others = [asyncio.create_task(place.queue.turn(Waiting(id, "acme", 600, band="flex"))) for id in "bc"]
    await asyncio.sleep(0)
    place.now = 101.0
    report = await place.report()
    assert (report.at, report.waiting, report.backlog) == (101.0, 2, 2 * 600 / 2), "the most that they may cost"
    await place.queue.end(first, 100)
    report = await place.report()
    assert (report.waiting, report.backlog) == (1, 100 / 2)
    await others[0]
    await place.queue.end(Waiting("b", "acme", 600, band="flex"), 0)
    await others[1]
    assert place.queue.work == 50.0, "one that has not run tells nothing"
    await place.queue.end(Waiting("c", "acme", 600, band="flex"), 200)
    assert place.queue.work == 55.0
    assert (await place.report()).waiting == 0


def test_only_the_queues_of_the_models_that_are_scaled_are_counted() -> None:
    scaled, fixed = model(ScriptedPool(lambda request: ()), "scaled"), model(ScriptedPool(lambda request: ()), "fixed")
    shared = in_memory({"scaled": scaled, "fixed": fixed}, clock=lambda: 0.0)
    counting, told = counted({"scaled": scaled}, shared)
    assert set(told) == {name for name in shared.queues if name.startswith("scaled:")} != set()
    assert all(counting.queues[name] is (told.get(name) or shared.queues[name]) for name in shared.queues)


async def test_answers_count_for_their_queue() -> None:
    place = Place()
    for queue, met in ((NAME, True), (NAME, True), (NAME, False), ("other:every", False)):
        place.objectives.count(queue, met=met)
    report = await place.report()
    assert (report.met, report.missed) == (2, 1)


async def test_the_figures_are_taken_again_and_again() -> None:
    place = Place()
    looked = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        place.now += seconds
        looked.release()
        await asyncio.sleep(0)

    load = GatewayLoad({NAME: place.queue}, place.objectives, lambda: place.now, sleep)
    serving = asyncio.create_task(load.serve())
    for _ in range(3):
        await looked.acquire()
    serving.cancel()
    assert QueueReport.all_of(load.numbers)[NAME].at >= 102.0
