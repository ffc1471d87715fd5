"""One trace of requests through one router and its virtual replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from cluster.simulator.clock import VirtualClock
from cluster.simulator.outcome import Answer, Outcome, outcome
from cluster.simulator.replica import VirtualReplica
from cluster.simulator.routers import ROUTERS, Router, Terms
from cluster.simulator.workload import Arrival
from deployments.run import Progress
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Finish
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Scenario:
    """``replicas`` that are alike, and ``gateways`` that take the requests in turn and know of each other's nothing but
    what the replicas tell. A message is ``message_seconds`` on its way; each ``poll_seconds`` all figures are repeated
    to all gateways.
    """

    replicas: int
    gateways: int = 1
    device: SimulatedDevice = field(default_factory=SimulatedDevice)
    limits: EngineLimits = field(default_factory=EngineLimits)
    message_seconds: float = 0.003
    poll_seconds: float = 2.0


@dataclass(slots=True)
class _Simulation:
    scenario: Scenario
    clock: VirtualClock
    replicas: dict[str, VirtualReplica]
    gateways: list[Router]
    unfinished: int
    firsts: dict[str, float] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def arrive(self, arrival: Arrival, gateway: Router) -> None:
        replica = self.replicas[gateway.route(arrival.request)]

        def told(request_id: str, progress: Progress) -> None:
            self.clock.after(self.scenario.message_seconds, lambda: self.hear(gateway, arrival, progress))

        self.clock.after(self.scenario.message_seconds, lambda: replica.take(arrival.request, told))

    def hear(self, gateway: Router, arrival: Arrival, progress: Progress) -> None:
        request_id = arrival.request.id
        gateway.heard(request_id, progress)
        taken = self.clock.now - arrival.at
        if progress.events:
            self.firsts.setdefault(request_id, taken)
        if progress.events and isinstance(progress.events[-1], Finish):
            gateway.ended(request_id)
            self.answers[request_id] = Answer(self.firsts[request_id], taken)
            self.unfinished -= 1

    def poll(self) -> None:
        for gateway in self.gateways:
            gateway.polled()
        if self.unfinished:
            self.clock.after(self.scenario.poll_seconds, self.poll)


def simulate(scenario: Scenario, spec: ModelSpec, trace: Sequence[Arrival], router: str, seed: int = 0) -> Outcome:
    """``trace`` through ``router``, one of ``ROUTERS``; the same for the same seed."""
    clock = VirtualClock()
    names = [f"replica-{number}" for number in range(scenario.replicas)]
    replicas = {name: VirtualReplica(name, spec, scenario.device, scenario.limits, clock) for name in names}
    terms = Terms(spec, scenario.limits)
    gateways = [
        ROUTERS[router](replicas, terms, clock, Random(f"{seed} {number}"))  # noqa: S311
        for number in range(scenario.gateways)
    ]
    simulation = _Simulation(scenario, clock, replicas, gateways, len(trace))
    for number, arrival in enumerate(trace):
        gateway = gateways[number % scenario.gateways]
        clock.after(arrival.at, partial(simulation.arrive, arrival, gateway))
    clock.after(scenario.poll_seconds, simulation.poll)
    clock.run()
    for replica in replicas.values():
        replica.check_integrity()
    steps = [positions for replica in replicas.values() for positions in replica.steps]
    return outcome(router, scenario.replicas, trace, simulation.answers, steps)
