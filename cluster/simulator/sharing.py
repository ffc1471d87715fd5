"""Tenants that share virtual replicas through the fair queue, in virtual time."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from cluster.simulator.clock import VirtualClock
from cluster.simulator.outcome import percentile
from cluster.simulator.replica import VirtualReplica
from cluster.simulator.routers import Phase, Terms
from cluster.simulator.run import Scenario
from cluster.simulator.workload import Arrival
from deployments.errors import QueueFull
from deployments.pools.pool_set import AHEAD_SHARE
from deployments.run import Progress
from deployments.tenancy.queue.fair_queue import VirtualCounterQueue, charge_of
from deployments.tenancy.queue.fairness import Fairness
from deployments.tenancy.queue.queue import Waiting
from dllm_worker.bound import most_work
from dllm_worker.request import Finish
from dllm_worker.spec import ModelSpec

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TenantTrace:
    """What a tenant asks for, whatever becomes of it. At most ``cap`` of its requests wait for their turns."""

    tenant: str
    trace: Sequence[Arrival]
    weight: float = 1.0
    cap: int = 256


@dataclass(frozen=True, slots=True)
class Sharing:
    """Of each tenant the latencies of its answers in seconds, sorted, the requests that were refused, and the
    position-forwards that were done for it. ``jain`` is the index at the last look that found several tenants waiting,
    ``max_lag`` the greatest lag at any look; ``lag_bound`` is what the queue promises.
    """

    latencies: dict[str, list[float]]
    refused: dict[str, int]
    work: dict[str, int]
    jain: float
    max_lag: float
    lag_bound: float

    def latency(self, tenant: str, share: float) -> float:
        """A percentile of a tenant's latencies."""
        return percentile(self.latencies[tenant], share)


@dataclass(slots=True)
class _Cluster:
    scenario: Scenario
    spec: ModelSpec
    places: int
    clock: VirtualClock
    replicas: dict[str, VirtualReplica]
    gateway: Phase
    unfinished: int
    queue: VirtualCounterQueue = field(default_factory=VirtualCounterQueue)
    fairness: Fairness = field(default_factory=Fairness)
    arrivals: dict[str, Arrival] = field(default_factory=dict)
    latencies: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    work: Counter[str] = field(default_factory=Counter)
    jain: float = 1.0
    max_lag: float = 0.0
    most_running: int = 0
    greatest_charge: float = 0.0

    def arrive(self, tenant: TenantTrace, arrival: Arrival) -> None:
        id = arrival.request.id
        request = Waiting(id, tenant.tenant, most_work(arrival.request, self.spec), tenant.weight, cap=tenant.cap)
        try:
            self.queue.enter(request, self.clock.now)
        except QueueFull:
            self.refused[tenant.tenant] += 1
            self.unfinished -= 1
            return
        self.arrivals[id] = arrival
        self.greatest_charge = max(self.greatest_charge, charge_of(request))
        self.dispatch()

    def dispatch(self) -> None:
        for request in self.queue.dispatch(self.places, self.clock.now).given:
            run = self.arrivals[request.id].request
            replica = self.replicas[self.gateway.route(run)]
            told = partial(self.tell, request)
            self.clock.after(self.scenario.message_seconds, partial(replica.take, run, told))
        self.most_running = max(self.most_running, self.queue.running)

    def tell(self, request: Waiting, request_id: str, progress: Progress) -> None:
        self.clock.after(self.scenario.message_seconds, lambda: self.hear(request, progress))

    def hear(self, request: Waiting, progress: Progress) -> None:
        self.gateway.heard(request.id, progress)
        if not progress.events or not isinstance(end := progress.events[-1], Finish):
            return
        self.gateway.ended(request.id)
        self.queue.end(request.id, end.usage.position_forwards)
        self.latencies[request.tenant].append(self.clock.now - self.arrivals.pop(request.id).at)
        self.work[request.tenant] += end.usage.position_forwards
        self.unfinished -= 1
        self.dispatch()

    def look(self) -> None:
        held = self.queue.snapshot()
        state = self.fairness.state(held, self.clock.now)
        self.max_lag = max(self.max_lag, state.max_lag)
        if len(held.lanes[0].counters) > 1:
            self.jain = state.jain
        self.again(LOOK_SECONDS, self.look)

    def poll(self) -> None:
        self.gateway.polled()
        self.again(self.scenario.poll_seconds, self.poll)

    def again(self, seconds: float, action: Callable[[], None]) -> None:
        if self.unfinished:
            self.clock.after(seconds, action)


def share(
    scenario: Scenario, spec: ModelSpec, traces: Sequence[TenantTrace], *, queued: bool = True, seed: int = 0
) -> Sharing:
    """All of ``traces`` through one gateway. Without being ``queued``, every request goes to a replica at once."""
    clock = VirtualClock()
    names = [f"replica-{number}" for number in range(scenario.replicas)]
    replicas = {name: VirtualReplica(name, spec, scenario.device, scenario.limits, clock) for name in names}
    gateway = Phase(replicas, Terms(spec, scenario.limits), clock, Random(seed))  # noqa: S311
    places = scenario.replicas * places_of(scenario.limits.max_running) if queued else sys.maxsize
    cluster = _Cluster(scenario, spec, places, clock, replicas, gateway, sum(len(each.trace) for each in traces))
    for tenant in traces:
        for arrival in tenant.trace:
            clock.after(arrival.at, partial(cluster.arrive, tenant, arrival))
    clock.after(scenario.poll_seconds, cluster.poll)
    clock.after(LOOK_SECONDS, cluster.look)
    clock.run()
    cluster.queue.check_integrity()
    for replica in replicas.values():
        replica.check_integrity()
    return Sharing(
        {tenant: sorted(latencies) for tenant, latencies in cluster.latencies.items()},
        dict(cluster.refused),
        dict(cluster.work),
        cluster.jain,
        cluster.max_lag,
        cluster.most_running * cluster.greatest_charge,
    )


def places_of(max_running: int) -> int:
    """As the pools of the gateway count them: :attr:`deployments.pools.pool_set.Member.places`."""
    return max_running + max(1, max_running // AHEAD_SHARE)
