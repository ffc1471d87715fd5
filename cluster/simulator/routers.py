"""Who gets a request: the router that is served, and those it is measured against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from cluster.simulator.clock import VirtualClock
from cluster.simulator.replica import VirtualReplica
from deployments.routing.stats import figures_of, stats_of
from deployments.routing.view import PoolView
from deployments.routing.work import Demand, demand_of
from deployments.run import Progress, Run
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

Replicas = Mapping[str, VirtualReplica]


@dataclass(frozen=True, slots=True)
class Terms:
    """What all replicas of the pool have in common."""

    spec: ModelSpec
    limits: EngineLimits


CACHED_SECONDS = 10.0
"""How long Ray Serve takes a queue length for granted."""


class Router(Protocol):
    """One gateway's choice. What it is told comes to it as late as it would in the gateway."""

    def route(self, request: Request) -> str:
        """The replica for ``request``."""

    def heard(self, request_id: str, progress: Progress) -> None:
        """A message of the request came."""

    def ended(self, request_id: str) -> None:
        """The request has ended."""

    def polled(self) -> None:
        """The controller has asked all replicas for their figures."""


class Phase:
    """The router that is served: :class:`deployments.routing.view.PoolView`."""

    def __init__(self, replicas: Replicas, terms: Terms, clock: VirtualClock, random: Random) -> None:
        self._replicas, self._terms = replicas, terms
        self._view = PoolView(lambda: clock.now, random)
        self._view.offer(replicas)
        self._demands: dict[str, Demand] = {}
        self.stale = 0

    def route(self, request: Request) -> str:
        """As ``RayPool`` and ``PhaseRouter`` do it between them."""
        tokens_per_step, terms = self._view.pace.tokens_per_step, self._terms
        demand = demand_of(Run(request), terms.spec, tokens_per_step, terms.limits.step_budget.refresh_share)
        self._demands[request.id] = demand
        self._view.expect(demand)
        choice = self._view.choose(demand, self._replicas)
        self._view.sent(choice.replica, demand)
        self.stale += choice.stale
        return choice.replica

    def heard(self, request_id: str, progress: Progress) -> None:
        self._view.heard(self._demands[request_id], progress)

    def ended(self, request_id: str) -> None:
        self._view.ended(self._demands.pop(request_id))

    def polled(self) -> None:
        for name, replica in self._replicas.items():
            self._view.publish(name, figures_of(stats_of(replica.figures)))


class _Deaf:
    """What is heard changes nothing."""

    def heard(self, request_id: str, progress: Progress) -> None: ...

    def ended(self, request_id: str) -> None: ...

    def polled(self) -> None: ...


class TwoChoices(_Deaf):
    """Ray Serve's default: of two at random, the one with fewer requests in it, as far as that is known.

    A length is known from the replica's last answer, less what has ended since, for ``CACHED_SECONDS``. Replicas are
    asked only where neither length is known.
    """

    def __init__(self, replicas: Replicas, terms: Terms, clock: VirtualClock, random: Random) -> None:
        self._replicas, self._clock, self._random = replicas, clock, random
        self._names = tuple(replicas)
        self._lengths: dict[str, tuple[int, float]] = {}
        self._places: dict[str, str] = {}

    def route(self, request: Request) -> str:
        pair = self._random.sample(self._names, min(2, len(self._names)))
        known = [name for name in pair if self._length(name) is not None]
        for name in pair:
            if name not in known:
                self._ask(name)
        chosen = min(known or pair, key=lambda name: self._length(name) or 0)
        self._lengths[chosen] = self._replicas[chosen].ongoing + 1, self._clock.now
        self._places[request.id] = chosen
        return chosen

    def ended(self, request_id: str) -> None:
        name = self._places.pop(request_id)
        length = self._length(name)
        if length is not None:
            self._lengths[name] = max(0, length - 1), self._clock.now

    def _length(self, name: str) -> int | None:
        length, at = self._lengths.get(name, (0, -CACHED_SECONDS))
        return length if self._clock.now - at < CACHED_SECONDS else None

    def _ask(self, name: str) -> None:
        self._lengths[name] = self._replicas[name].ongoing, self._clock.now


class RoundRobin(_Deaf):
    """One after the other, from a random one on."""

    def __init__(self, replicas: Replicas, terms: Terms, clock: VirtualClock, random: Random) -> None:
        self._names = tuple(replicas)
        self._next = random.randrange(len(self._names))

    def route(self, request: Request) -> str:
        self._next = (self._next + 1) % len(self._names)
        return self._names[self._next]


class Uniform(_Deaf):
    """Any, at random."""

    def __init__(self, replicas: Replicas, terms: Terms, clock: VirtualClock, random: Random) -> None:
        self._names, self._random = tuple(replicas), random

    def route(self, request: Request) -> str:
        return self._random.choice(self._names)


Make = Callable[[Replicas, Terms, VirtualClock, Random], Router]

ROUTERS: Mapping[str, Make] = {"phase": Phase, "default": TwoChoices, "round_robin": RoundRobin, "random": Uniform}
"""By the names of the configuration, and ``random``."""
