"""The request router that Ray Serve runs in the gateway for each pool.

Ray carries this module's classes to the gateway by value, and what they import by name: the registry of views is
therefore the one that the gateway's own code sees.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from ray.serve.exceptions import BackPressureError
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from deployments.routing.stats import figures_of
from deployments.routing.ticket import Ticket
from deployments.routing.views import view_of
from deployments.routing.work import Demand
from deployments.telemetry.metrics import Metrics
from deployments.telemetry.names import STALE_ROUTINGS
from deployments.telemetry.prometheus import process_metrics

logger = logging.getLogger(__name__)

BEST = 3
"""So many of the ranking are offered to Ray one after the other, before the rest of it at once."""

MOST_TRIES = 12
"""Times that a call is offered to full replicas; with Ray's pauses between them, about three seconds."""

RETRY_SECONDS = 1.0


class PhaseRouter(RequestRouter):  # type: ignore[misc]  # Ray is not followed
    """Routes calls that carry a :class:`Ticket` by the scores of their pool's view, and others to any replica.

    Each call is matched to the replica that was found for it, never to one that was found for another: calls are known
    by their metadata, since all that are made for one request to the gateway share its id. A call whose replicas are
    all full is refused with ``BackPressureError`` after ``MOST_TRIES``, so that it does not keep others from being
    routed. With no replica at all, calls wait for the first.
    """

    def initialize_state(self) -> None:
        """Called by Ray Serve once, before the first replica is known."""
        app, deployment = self._deployment_id.app_name, self._deployment_id.name
        self._view = view_of(app, deployment)
        self._by_metadata: dict[int, PendingRequest] = {}
        self._metrics: Metrics = process_metrics()

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Ray names the replicas that take calls, and repeats what they last said of themselves."""
        super().update_replicas(replicas)
        self._offer()
        for replica in replicas:
            if replica.routing_stats:
                self._view.publish(replica.replica_id.to_full_id_str(), figures_of(replica.routing_stats))

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """A call found the replica dead before the controller did."""
        super().on_replica_actor_died(replica_id)
        self._offer()

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Ranks of replicas, best first. An error here would leave the call hanging, so it costs only the ranking."""
        if pending_request is not None:
            # Without it Ray asks again at once, for ever, and nothing else runs on the router's loop.
            pending_request.routing_context.should_backoff = True
        ticket = _ticket(pending_request)
        if ticket is None or ticket.demand is None:
            return [_two_of(candidate_replicas)]
        ticket.tries += 1
        if ticket.tries > MOST_TRIES:
            self._refuse(pending_request)
            # Ray looks whether the call still waits when it has something to offer to it.
            return [_two_of(candidate_replicas)]
        try:
            return self._rank(candidate_replicas, ticket, ticket.demand)
        except Exception:
            logger.exception("no ranking for a run; any replica may take it")
            return [_two_of(candidate_replicas)]

    @property
    def max_num_routing_tasks(self) -> int:
        """Calls that look for a replica at a time. Those that find none would soon take Ray's two for each replica."""
        return self.max_num_routing_tasks_cap if self.curr_replicas else 0

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: Any) -> None:
        """The replica has accepted the call."""
        ticket = _ticket(pending_request)
        if ticket is not None and ticket.demand is not None:
            ticket.chosen, ticket.chosen_at = replica_id.to_full_id_str(), time.time()
            self._view.sent(ticket.chosen, ticket.demand)

    def _rank(self, replicas: list[RunningReplica], ticket: Ticket, demand: Demand) -> list[list[RunningReplica]]:
        named = {replica.replica_id.to_full_id_str(): replica for replica in replicas}
        ticket.choice = choice = self._view.choose(demand, named)
        self._view.sent(choice.replica, demand)
        if choice.stale:
            self._metrics.record(STALE_ROUTINGS, 1, deployment=self._deployment_id.name)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(choice.explain())
        ranked = [named[name] for name in choice.ranking]
        return [*([replica] for replica in ranked[:BEST]), ranked[BEST:]]

    def _refuse(self, pending_request: PendingRequest) -> None:
        if not pending_request.future.done():
            waiting = self.num_pending_requests
            pending_request.future.set_exception(
                BackPressureError(waiting, waiting, status_code=503, retry_after_s=RETRY_SECONDS)
            )
        self._remove_pending_request_from_indices(pending_request)

    def _offer(self) -> None:
        self._view.offer(replica_id.to_full_id_str() for replica_id in self.curr_replicas)

    def _add_pending_request_to_indices(self, pending_request: PendingRequest) -> None:
        super()._add_pending_request_to_indices(pending_request)
        self._by_metadata[id(pending_request.metadata)] = pending_request

    def _remove_pending_request_from_indices(self, pending_request: PendingRequest) -> None:
        super()._remove_pending_request_from_indices(pending_request)
        self._by_metadata.pop(id(pending_request.metadata), None)

    def _get_pending_request_matching_internal_request_id(self, request_metadata: Any = None) -> PendingRequest | None:
        pending = self._by_metadata.get(id(request_metadata))
        return pending if pending is not None and not pending.future.done() else None


def _two_of(replicas: list[RunningReplica]) -> list[RunningReplica]:
    """Two at random; of them Ray takes the one with the shorter queue."""
    return random.sample(replicas, min(2, len(replicas)))


def _ticket(pending_request: PendingRequest | None) -> Ticket | None:
    return None if pending_request is None else pending_request.kwargs.get("ticket")
