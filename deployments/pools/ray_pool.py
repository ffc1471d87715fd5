"""The replicas of one pool, reached through a Ray Serve handle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from deployments.config import PoolConfig
from deployments.errors import InternalError, NoReplica, Overloaded, ReplicaLost, ReplicaSilent, ServingError
from deployments.pools.pool import Forecast
from deployments.routing.ticket import Ticket
from deployments.routing.view import PoolView
from deployments.routing.views import view_of
from deployments.routing.work import Demand, demand_of
from deployments.run import Progress, Run
from dllm_worker.request import Finish, Request
from dllm_worker.scheduling.planner import StepBudget
from dllm_worker.spec import ModelSpec


class RayPool:
    """The replicas of one Ray Serve deployment, as :class:`deployments.pools.pool.Pool`.

    What is heard of them goes to the view that the router of this process chooses by. A replica that has a run and says
    nothing for ``stall_seconds`` is lost; while the router waits for a free place, silence is none of theirs.
    """

    def __init__(
        self,
        handle: DeploymentHandle[object],
        spec: ModelSpec,
        config: PoolConfig,
        steal_seconds: float,
        view: PoolView | None = None,
    ) -> None:
        self._handle, self._spec, self._steal_seconds = handle, spec, steal_seconds
        self._pool, self._stall_seconds, self._may_sleep = config.name, config.stall_seconds, config.replicas == 0
        self._refresh_share = StepBudget(config.position_budget, config.refresh_budget).refresh_share
        self._view = view or view_of(handle.app_name, handle.deployment_name)
        self._home = f"{handle.app_name}#{handle.deployment_name}#"

    async def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """As :meth:`deployments.pools.pool.Pool.generate`."""
        demand = self._demand(run)
        ticket = Ticket(demand)
        self._view.expect(demand)
        stream = self._handle.options(stream=True).generate.remote(run, ticket=ticket)
        finished = False
        try:
            progress = await self._first(stream, ticket)
            if progress is not None:
                progress = replace(progress, route=ticket.route(self._pool, time.time()))
            while progress is not None:
                self._view.heard(demand, progress)
                finished = progress.parked or any(isinstance(event, Finish) for event in progress.events[-1:])
                yield progress
                progress = await self._next(stream)
            finished = True
        finally:
            self._view.ended(demand)
            if not finished:
                stream.cancel()

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        """As :meth:`deployments.pools.pool.Pool.should_move`."""
        if not self.offers(replica):
            return True
        return boundary and self._view.gap(replica, self._demand(run)) > self._steal_seconds

    def offers(self, replica: str) -> bool:
        """Whether ``replica`` is one of these and takes new runs."""
        return self._home in replica and self._view.offered(replica)

    @property
    def replicas(self) -> int:
        """How many take new runs, as far as this gateway has been told."""
        return self._view.replicas

    def forecast(self, request: Request) -> Forecast | None:
        """As :meth:`deployments.pools.pool.Pool.forecast`."""
        return self._view.forecast(self._demand(Run(request)))

    @property
    def asleep(self) -> bool:
        """Whether it has no replica because it may have none. A run that comes all the same waits for the first."""
        return self._may_sleep and not self._view.any_offered

    async def ready(self) -> bool:
        """Whether some replica answers and its engine runs. A pool that may be asleep is ready without one, and is not
        woken to be asked.
        """
        if self._may_sleep and not self._view.replicas:
            return True
        try:
            return bool(await self._handle.ready.remote())
        except (DeploymentUnavailableError, RayActorError, RayTaskError):
            return False

    def _demand(self, run: Run) -> Demand:
        return demand_of(run, self._spec, self._view.pace.tokens_per_step, self._refresh_share)

    async def _first(self, stream: DeploymentResponseGenerator[Progress], ticket: Ticket) -> Progress | None:
        """The first message. The time in which it has to come begins when a replica is known to have the run.

        Raises :class:`NoReplica` when there is none that could have it; a pool that may be asleep will have one.
        """
        message = asyncio.ensure_future(_message(stream))
        try:
            sent = False
            while not (await asyncio.wait({message}, timeout=self._stall_seconds))[0]:
                if sent:
                    raise ReplicaSilent
                if not (self._view.any_offered or self._may_sleep):
                    raise NoReplica
                sent = bool(ticket.chosen)
            return message.result()
        finally:
            message.cancel()

    async def _next(self, stream: DeploymentResponseGenerator[Progress]) -> Progress | None:
        try:
            async with asyncio.timeout(self._stall_seconds):
                return await _message(stream)
        except TimeoutError as error:
            raise ReplicaSilent from error


async def _message(stream: DeploymentResponseGenerator[Progress]) -> Progress | None:
    """The next message, ``None`` after the last; what Ray raises becomes a :class:`ServingError`.

    What the replica itself raised comes as a ``RayTaskError``. Anything else is the way to it that failed, for which
    each of Ray's transports has errors of its own.
    """
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None
    except BackPressureError as error:
        raise Overloaded(retry_after=error.retry_after_s) from error
    except DeploymentUnavailableError as error:
        raise NoReplica from error
    except RayTaskError as error:
        if isinstance(error.cause, RayActorError):
            raise ReplicaLost from error
        raise (error.cause if isinstance(error.cause, ServingError) else InternalError()) from error
    except Exception as error:
        raise ReplicaLost from error
