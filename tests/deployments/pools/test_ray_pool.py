"""What Ray raises becomes what the gateway tells its clients, and silence becomes a loss. The handle is a double."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError

from deployments.config import PoolConfig
from deployments.errors import InternalError, NoReplica, Overloaded, QueueFull, ReplicaLost, ServingError
from deployments.pools.ray_pool import RayPool
from deployments.routing.choice import Candidate, Choice
from deployments.routing.score import ReplicaView, Score
from deployments.routing.ticket import Ticket
from deployments.routing.view import PoolView
from deployments.run import Figures, Progress, Route, Run
from dllm_worker.request import Finish, Request, Usage
from tests.deployments.gateway.scripted import spec

RUN = Run(Request("a", prompt=(5, 6, 7), max_tokens=8))
REPLICA = "SERVE_REPLICA::app#worker:tiny:default#one"
TAKEN_AT = 1_700_000_000.5
OTHER = "SERVE_REPLICA::app#worker:tiny:default#two"
FINISHED = Progress(events=(Finish("a", "stop", Usage(completion_tokens=8, denoising_steps=4)),), replica=REPLICA)
SILENT = PoolConfig(heartbeat_seconds=0.001, stall_seconds=0.01)
PATIENT = PoolConfig(heartbeat_seconds=60.0, stall_seconds=600.0)

Item = Progress | Exception | None
"""A message, a failure, or silence for ever."""


class Stream:
    """Says ``items``; knows whether it was cancelled."""

    def __init__(self, items: list[Item]) -> None:
        self._items = self._play(items)
        self.cancelled = False

    async def _play(self, items: list[Item]) -> AsyncGenerator[Progress]:
        for item in items:
            if item is None:
                await asyncio.get_running_loop().create_future()
            elif isinstance(item, Exception):
                raise item
            else:
                yield item

    async def __anext__(self) -> Progress:
        return await anext(self._items)

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Handle:
    """Routes each call to ``REPLICA`` at once, or never if it is not ``routed``."""

    stream: Stream
    routed: bool = True
    choice: Choice | None = None
    tickets: list[Ticket] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    app_name: str = "app"
    deployment_name: str = "worker:tiny:default"

    def options(self, *, stream: bool) -> Any:
        assert stream
        return SimpleNamespace(generate=SimpleNamespace(remote=self._call))

    def _call(self, run: Run, ticket: Ticket) -> Stream:
        self.tickets.append(ticket)
        self.called.set()
        if self.routed:
            ticket.chosen, ticket.chosen_at, ticket.choice = REPLICA, TAKEN_AT, self.choice
        return self.stream


def pool_over(
    items: list[Item], config: PoolConfig = PATIENT, steal_seconds: float = 2.0, *, routed: bool = True
) -> tuple[RayPool, Handle, PoolView]:
    handle, view = Handle(Stream(items), routed), PoolView(time.monotonic, Random(1))
    anything: Any = handle
    return RayPool(anything, spec(), config, steal_seconds, view), handle, view


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("generate", "remote traceback", cause)


async def messages(pool: RayPool) -> list[Progress]:
    return [progress async for progress in pool.generate(RUN)]


@pytest.mark.parametrize("last", [FINISHED, Progress(parked=True, replica=REPLICA)])
async def test_messages_pass_and_the_end_is_left_alone(last: Progress) -> None:
    pool, handle, view = pool_over([Progress(replica=REPLICA), last])
    first = Progress(replica=REPLICA, route=Route("default", TAKEN_AT))
    assert await messages(pool) == [first, last]
    assert not handle.stream.cancelled
    assert view.in_flight == 0
    view.check_integrity()


async def test_the_first_message_says_why_this_replica_was_chosen() -> None:
    pool, handle, _ = pool_over([Progress(replica=REPLICA), FINISHED])
    prompt = tuple(range(3, 3 + 64))
    run = replace(RUN, request=replace(RUN.request, prompt=prompt))
    demand = pool._demand(run)
    assert len(demand.pages) > 1
    there = ReplicaView(REPLICA, prefixes=frozenset(demand.pages[:1]))
    candidates = (Candidate(ReplicaView(OTHER), Score(0.1, 0.0, 0.0)), Candidate(there, Score(0.5, 0.25, 0.125)))
    handle.choice = Choice(demand.key, candidates, "score")
    told = [progress async for progress in pool.generate(run)]
    assert [progress.route for progress in told] == [Route("default", TAKEN_AT, 0.625, demand.page_size), None]


async def test_a_reader_that_leaves_with_the_last_message_cancels_nothing() -> None:
    pool, handle, _ = pool_over([FINISHED])
    stream = pool.generate(RUN)
    await anext(stream)
    await stream.aclose()
    assert not handle.stream.cancelled


async def test_leaving_early_cancels_at_the_replica() -> None:
    pool, handle, view = pool_over([Progress(replica=REPLICA), FINISHED])
    stream = pool.generate(RUN)
    await anext(stream)
    assert view.in_flight == 1
    await stream.aclose()
    assert handle.stream.cancelled
    assert view.in_flight == 0


async def test_a_reader_that_is_cancelled_while_it_waits_cancels_at_the_replica() -> None:
    pool, handle, view = pool_over([None])
    waiting = asyncio.ensure_future(anext(pool.generate(RUN)))
    await handle.called.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert handle.stream.cancelled
    assert view.in_flight == 0


async def test_the_router_gets_the_demand_and_the_view_hears_the_replica() -> None:
    pool, handle, view = pool_over([Progress(replica=REPLICA, figures=Figures(free_places=0, backlog=400, rate=100.0))])
    stream = pool.generate(RUN)
    await anext(stream)
    (ticket,) = handle.tickets
    assert ticket.demand is not None
    assert (ticket.demand.key, ticket.demand.avoid) == ("a 1", ())
    assert view.gap(REPLICA, ticket.demand) == 0.0
    view.offer([REPLICA, OTHER])
    assert 3.0 < view.gap(REPLICA, ticket.demand) <= 4.0
    await stream.aclose()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (BackPressureError(num_queued_requests=3, max_queued_requests=2), Overloaded),
        (DeploymentUnavailableError(None), NoReplica),
        (ActorDiedError(), ReplicaLost),
        (ActorUnavailableError("away", b"\0" * 16), ReplicaLost),
        (RequestCancelledError("a"), ReplicaLost),
        (ConnectionResetError(), ReplicaLost),
        (task_error(QueueFull()), QueueFull),
        (task_error(ActorDiedError()), ReplicaLost),
        (task_error(ValueError("secret detail")), InternalError),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
async def test_failures_are_told_in_our_words(raised: Exception, told: type[ServingError], before: int) -> None:
    pool, _, view = pool_over([*[Progress(replica=REPLICA)] * before, raised])
    with pytest.raises(told) as failure:
        await messages(pool)
    assert "secret" not in str(failure.value)
    assert type(failure.value) is told
    assert view.in_flight == 0


@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_replica_that_falls_silent_is_lost(before: int) -> None:
    pool, handle, view = pool_over([*[Progress(replica=REPLICA)] * before, None], SILENT)
    with pytest.raises(ReplicaLost):
        await messages(pool)
    assert handle.stream.cancelled
    assert view.in_flight == 0


async def test_a_run_that_waits_for_a_place_is_not_lost() -> None:
    pool, handle, _ = pool_over([None], SILENT, routed=False)
    waiting = asyncio.ensure_future(messages(pool))
    done, _ = await asyncio.wait({waiting}, timeout=20 * SILENT.stall_seconds)
    assert not done
    handle.tickets[0].chosen = REPLICA
    with pytest.raises(ReplicaLost):
        await waiting


def test_a_replica_is_left_when_it_is_not_offered_or_of_another_pool() -> None:
    pool, _, view = pool_over([])
    foreign = REPLICA.replace("default", "large")
    view.offer([REPLICA, OTHER, foreign])
    assert pool.offers(REPLICA)
    assert not pool.offers(foreign)
    view.offer([OTHER])
    assert not pool.offers(REPLICA)
    assert pool.should_move(RUN, REPLICA, boundary=False)
    assert not pool.should_move(RUN, OTHER, boundary=True)


@pytest.mark.parametrize(
    ("steal_seconds", "boundary", "moves"), [(2.0, True, True), (2.0, False, False), (9, True, False)]
)
def test_a_busy_replica_is_left_between_canvases(steal_seconds: float, boundary: bool, moves: bool) -> None:
    pool, _, view = pool_over([], steal_seconds=steal_seconds)
    view.offer([REPLICA, OTHER])
    for replica, backlog in ((REPLICA, 500), (OTHER, 100)):
        view.observe(replica, Figures(backlog=backlog, rate=100.0))
    assert pool.should_move(RUN, REPLICA, boundary=boundary) is moves
    assert not pool.should_move(RUN, OTHER, boundary=boundary)


async def test_a_forecast_needs_a_run_that_has_ended() -> None:
    pool, _, _ = pool_over([Progress(replica=REPLICA, figures=Figures(rate=100.0)), FINISHED])
    assert pool.forecast(RUN.request) is None
    await messages(pool)
    forecast = pool.forecast(RUN.request)
    assert forecast is not None
    assert forecast.run > 0


@pytest.mark.parametrize(
    ("answer", "ready"), [(True, True), (False, False), (ActorDiedError(), False), (task_error(ValueError()), False)]
)
async def test_a_pool_is_ready_when_a_replica_says_so(answer: bool | Exception, ready: bool) -> None:
    async def ask() -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    handle: Any = SimpleNamespace(
        ready=SimpleNamespace(remote=ask), app_name="app", deployment_name="worker:tiny:default"
    )
    assert await RayPool(handle, spec(), PATIENT, 2.0).ready() is ready


async def test_a_pool_that_may_be_asleep_is_ready_without_being_woken() -> None:
    sleeper, _, view = pool_over([], PoolConfig(replicas=0, max_replicas=1))
    assert await sleeper.ready(), "the handle has no method to ask"
    assert not sleeper.asleep, "nobody has said that it has no replica"
    view.offer([])
    assert sleeper.asleep
    assert await sleeper.ready()
    view.offer([REPLICA])
    assert not sleeper.asleep


async def test_a_run_waits_for_the_first_replica_of_a_pool_that_may_be_asleep() -> None:
    config = PoolConfig(replicas=0, max_replicas=1, heartbeat_seconds=0.001, stall_seconds=0.01)
    pool, handle, view = pool_over([None], config, routed=False)
    view.offer([])
    running = asyncio.ensure_future(anext(pool.generate(RUN)))
    await handle.called.wait()
    done, _ = await asyncio.wait({running}, timeout=10 * config.stall_seconds)
    assert not done, "it is neither refused nor given up"
    handle.tickets[0].chosen = REPLICA
    with pytest.raises(ReplicaLost):
        await running


async def test_a_pool_that_always_has_replicas_and_has_none_refuses() -> None:
    pool, _, view = pool_over([None], SILENT, routed=False)
    view.offer([])
    assert not pool.asleep
    with pytest.raises(NoReplica):
        await anext(pool.generate(RUN))
