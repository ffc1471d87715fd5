"""The router in the real Ray Serve, with replicas that only say who they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from deployments.routing.stats import stats_of
from deployments.routing.ticket import Ticket
from deployments.routing.view import PoolView
from deployments.routing.views import view_of
from deployments.routing.work import Demand
from deployments.run import Figures
from tests.deployments.rays import serving_ray

APP = "routing"
FIGURES = Figures(backlog=7, rate=90.0, prefixes=(5, 8))
LIMIT = 20.0
"""Seconds after which a call that waits for ever is given up; none of them takes that long when all is well."""


@pytest.fixture(scope="module")
def handle() -> Iterator[DeploymentHandle[Any]]:
    """Three replicas that take two calls each, and a deployment that calls them."""
    with serving_ray():
        yield serve.run(application(), name=APP, route_prefix=None)


def application() -> Any:
    class Replica:
        def __init__(self) -> None:
            self._gate, self._polls = asyncio.Event(), 0

        async def who(self, ticket: Ticket | None = None) -> tuple[str, bool]:
            """The replica's name, and whether it was given a demand."""
            name: str = serve.get_replica_context().replica_id.to_full_id_str()
            return name, ticket is not None and ticket.demand is not None

        async def hold(self, ticket: Ticket) -> AsyncIterator[str]:
            yield serve.get_replica_context().replica_id.to_full_id_str()
            await self._gate.wait()

        def record_routing_stats(self) -> dict[str, Any]:
            self._polls += 1
            return stats_of(replace(FIGURES, free_places=self._polls))

    class Caller:
        def __init__(self, replicas: DeploymentHandle[Any]) -> None:
            self._replicas = replicas

        async def call(self, calls: int) -> list[str]:
            """Who answers ``calls`` concurrent calls that are all made for one request."""
            tickets = [Ticket(Demand(str(number), work=10)) for number in range(calls)]
            answers = await asyncio.gather(*(self._replicas.who.remote(ticket=ticket) for ticket in tickets))
            return [name for name, _ in answers]

    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 0}, "graceful_shutdown_timeout_s": 1}
    router = RequestRouterConfig(
        request_router_class="deployments.routing.ray_router:PhaseRouter", request_routing_stats_period_s=0.5
    )
    replicas = serve.deployment(
        Replica, name="replicas", num_replicas=3, max_ongoing_requests=2, request_router_config=router, **options
    )
    return serve.deployment(Caller, name="caller", **options).bind(replicas.bind())


@pytest.fixture
def replicas(handle: DeploymentHandle[Any]) -> DeploymentHandle[Any]:
    return serve.get_deployment_handle("replicas", APP)


@pytest.fixture
async def view(replicas: DeploymentHandle[Any]) -> PoolView:
    """The view of this process, once the router has told it the replicas."""
    await replicas.who.remote()
    return view_of(APP, "replicas")


async def call(replicas: DeploymentHandle[Any], view: PoolView, ticket: Ticket) -> str:
    """Who answers a call with ``ticket``, as the pool's client makes it."""
    assert ticket.demand is not None
    view.expect(ticket.demand)
    try:
        name, told = await replicas.who.remote(ticket=ticket)
    finally:
        view.ended(ticket.demand)
    assert not told
    return str(name)


async def names_of(replicas: DeploymentHandle[Any]) -> list[str]:
    """All three replicas."""
    names: set[str] = set()
    while len(names) < 3:
        names.add((await replicas.who.remote())[0])
    return sorted(names)


async def test_concurrent_calls_of_one_request_all_finish(handle: DeploymentHandle[Any]) -> None:
    async with asyncio.timeout(LIMIT):
        assert len(await handle.call.remote(6)) == 6


async def test_concurrent_calls_go_where_each_of_them_may(replicas: DeploymentHandle[Any], view: PoolView) -> None:
    names = await names_of(replicas)
    wanted = names * 8
    tickets = [
        Ticket(Demand(f"{number}", work=10, avoid=tuple(set(names) - {name}))) for number, name in enumerate(wanted)
    ]
    async with asyncio.timeout(LIMIT):
        answers = await asyncio.gather(*(call(replicas, view, ticket) for ticket in tickets), return_exceptions=True)
    served = [(answer, name) for answer, name in zip(answers, wanted, strict=True) if isinstance(answer, str)]
    assert served
    assert all(answer == name for answer, name in served)
    assert all(isinstance(answer, str | BackPressureError) for answer in answers)
    assert [ticket.chosen for ticket, answer in zip(tickets, answers, strict=True) if isinstance(answer, str)] == [
        answer for answer in answers if isinstance(answer, str)
    ]


async def test_calls_that_find_no_place_are_refused_and_keep_nobody_waiting(
    replicas: DeploymentHandle[Any], view: PoolView
) -> None:
    names = await names_of(replicas)
    full, others = names[0], tuple(names[1:])
    held = [Ticket(Demand(f"held {number}", work=10, avoid=others)) for number in range(2)]
    holding = [replicas.options(stream=True).hold.remote(ticket=ticket) for ticket in held]
    async with asyncio.timeout(LIMIT):
        assert [await anext(stream) for stream in holding] == [full, full]
        lost = [Ticket(Demand(f"lost {number}", work=10, avoid=others)) for number in range(12)]
        refused = asyncio.gather(*(call(replicas, view, ticket) for ticket in lost), return_exceptions=True)
        free = [Ticket(Demand(f"free {number}", work=10, avoid=(full,))) for number in range(4)]
        assert {await call(replicas, view, ticket) for ticket in free} <= set(others)
        assert [type(answer) for answer in await refused] == [BackPressureError] * len(lost)
    for stream in holding:
        stream.cancel()
    assert view.in_flight == 0
    view.check_integrity()


async def test_a_replica_to_avoid_is_taken_when_there_is_no_other(
    replicas: DeploymentHandle[Any], view: PoolView
) -> None:
    names = await names_of(replicas)
    async with asyncio.timeout(LIMIT):
        assert await call(replicas, view, Ticket(Demand("a", work=10, avoid=tuple(names)))) in names


async def test_the_view_knows_the_replicas_and_what_the_controller_tells_of_them(
    replicas: DeploymentHandle[Any], view: PoolView
) -> None:
    names = await names_of(replicas)
    assert all(view.offered(name) for name in names)
    assert not view.offered("another")
    async with asyncio.timeout(LIMIT):
        while view.choose(Demand("a", work=10), names).stale:
            await replicas.who.remote()
    choice = view.choose(Demand("b", work=10, refresh=(90,), pages=(5,), page_size=90), names)
    assert {candidate.view.prefixes for candidate in choice.candidates} <= {frozenset((5, 8)), frozenset()}
    assert choice.candidates[0].view.prefixes
