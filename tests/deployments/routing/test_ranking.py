"""What the router gives to Ray Serve. No Ray runs here; ``test_ray_router.py`` has the real one."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID
from ray.serve.exceptions import BackPressureError
from ray.serve.request_router import PendingRequest, ReplicaID

from deployments.routing.ray_router import MOST_TRIES, PhaseRouter
from deployments.routing.ticket import Ticket
from deployments.routing.work import Demand
from deployments.run import Figures, Route
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.names import STALE_ROUTINGS

DEPLOYMENT = DeploymentID("replicas", "ranking")
IDS = [ReplicaID(name, DEPLOYMENT) for name in "abcdef"]
REPLICAS: list[Any] = [SimpleNamespace(replica_id=replica_id) for replica_id in IDS]
NAMES = [replica_id.to_full_id_str() for replica_id in IDS]


@pytest.fixture
def router(request: pytest.FixtureRequest) -> Any:
    """One with a view of its own."""
    router = PhaseRouter(DeploymentID("replicas", request.node.name), DeploymentHandleSource.UNKNOWN)
    router.initialize_state()
    router._metrics = MemoryMetrics()
    router._view.offer(NAMES)
    return router


def pending(*, ticket: Ticket | None) -> PendingRequest:
    metadata: Any = SimpleNamespace(internal_request_id="the same for all", multiplexed_model_id="")
    kwargs = {} if ticket is None else {"ticket": ticket}
    return PendingRequest(args=[], kwargs=kwargs, metadata=metadata, future=asyncio.get_running_loop().create_future())


def ids(ranks: list[list[Any]]) -> list[list[str]]:
    return [[replica.replica_id.to_full_id_str() for replica in rank] for rank in ranks]


async def test_the_best_come_one_by_one_and_the_rest_together(router: Any) -> None:
    for number, name in enumerate(NAMES):
        router._view.observe(name, Figures(backlog=1000 * number, rate=10.0))
    ranks = await router.choose_replicas(REPLICAS, pending(ticket=Ticket(Demand("x", work=1, refresh=(9999,)))))
    assert ids(ranks) == [[NAMES[0]], [NAMES[1]], [NAMES[2]], NAMES[3:]]
    assert not router._metrics.values


async def test_the_ticket_learns_how_its_call_came_to_its_replica(router: Any) -> None:
    for number, name in enumerate(NAMES):
        router._view.observe(name, Figures(backlog=1000 * number, rate=10.0, prefixes=(7,)))
    ticket = Ticket(Demand("x", work=1, refresh=(9999,), pages=(7, 8), page_size=16))
    call = pending(ticket=ticket)
    await router.choose_replicas(REPLICAS, call)
    before = time.time()
    router.on_request_routed(call, IDS[1], None)
    route = ticket.route("small", now=0.0)
    assert before <= route.at <= time.time()
    assert (route.pool, route.prefix_hit) == ("small", 16)
    # The second best has a backlog of 100 seconds, and 16 positions of the prompt cached.
    assert route.score == pytest.approx(100.0 - 1.6)


async def test_a_call_that_was_routed_without_figures_has_no_score(router: Any) -> None:
    ticket = Ticket(Demand("x", work=1))
    call = pending(ticket=ticket)
    await router.choose_replicas(REPLICAS, call)
    router.on_request_routed(call, IDS[0], None)
    assert ticket.route("small", now=0.0) == Route("small", ticket.chosen_at)


async def test_a_choice_without_recent_figures_is_counted(router: Any) -> None:
    await router.choose_replicas(REPLICAS, pending(ticket=Ticket(Demand("x", work=1))))
    assert router._metrics.total(STALE_ROUTINGS, "replicas") == 1


async def test_ray_pauses_between_two_tries_of_any_call(router: Any) -> None:
    for ticket in (None, Ticket(), Ticket(Demand("x", work=1))):
        call = pending(ticket=ticket)
        assert await router.choose_replicas(REPLICAS, call)
        assert call.routing_context.should_backoff


async def test_a_view_that_fails_costs_only_the_ranking(router: Any, caplog: pytest.LogCaptureFixture) -> None:
    router._view = SimpleNamespace()
    ranks = await router.choose_replicas(REPLICAS, pending(ticket=Ticket(Demand("x", work=1))))
    assert [len(rank) for rank in ranks] == [2]
    assert "no ranking for a run" in caplog.text


async def test_a_call_that_found_no_place_often_enough_is_refused_and_forgotten(router: Any) -> None:
    call = pending(ticket=Ticket(Demand("x", work=1)))
    router._add_pending_request_to_indices(call)
    for _ in range(MOST_TRIES):
        await router.choose_replicas(REPLICAS, call)
        assert router._get_pending_request_matching_internal_request_id(call.metadata) is call
    await router.choose_replicas(REPLICAS, call)
    assert isinstance(call.future.exception(), BackPressureError)
    assert router._get_pending_request_matching_internal_request_id(call.metadata) is None
    assert not router._by_metadata


async def test_calls_for_one_request_are_told_apart(router: Any) -> None:
    calls = [pending(ticket=None) for _ in range(3)]
    for call in calls:
        router._add_pending_request_to_indices(call)
    assert [router._get_pending_request_matching_internal_request_id(call.metadata) for call in calls] == calls
