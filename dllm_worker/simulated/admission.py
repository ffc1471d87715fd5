"""Who runs in a simulated engine: places in the batch and pages of cache, by the rules of the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from dllm_worker.cache.prefix import page_hashes, page_size_of, prefix_key
from dllm_worker.canvas import first_start, streams, total_length
from dllm_worker.request import Request
from dllm_worker.scheduling.planner import Occupant, Waiter, admission_order, preempt
from dllm_worker.simulated.running import Simulation
from dllm_worker.simulated.shelf import Shelf
from dllm_worker.spec import ModelSpec


@dataclass(slots=True)
class Place:
    """A request that runs since step ``joined``, or waits behind those that ``arrived`` before it."""

    simulation: Simulation
    arrived: int
    joined: int = 0


@dataclass(slots=True)
class SimulatedAdmission:
    """``running`` requests hold pages for all of their positions; ``waiting`` ones hold nothing.

    The prompts of those that started are on the ``shelf``; who starts later need not encode their pages again.
    """

    spec: ModelSpec
    places: int
    pages: int
    shelf: Shelf
    running: dict[str, Place] = field(default_factory=dict)
    waiting: dict[str, Place] = field(default_factory=dict)
    arrivals: int = 0
    preemptions: int = 0
    reused_positions: int = 0

    @staticmethod
    def of(spec: ModelSpec, places: int, cache_positions: int) -> SimulatedAdmission:
        """One with room for ``cache_positions``, in whole pages."""
        pages = -(-cache_positions // page_size_of(spec))
        return SimulatedAdmission(spec, places, pages, Shelf(pages))

    @property
    def free_pages(self) -> int:
        return self.pages - sum(self.pages_of(place.simulation.request) for place in self.running.values())

    @property
    def everyone(self) -> list[Simulation]:
        return [place.simulation for places in (self.running, self.waiting) for place in places.values()]

    def pages_of(self, request: Request) -> int:
        """Pages that hold all positions of ``request``."""
        return -(-total_length(request) // page_size_of(self.spec)) * streams(request)

    def queue(self, simulation: Simulation) -> None:
        """Have a request wait behind its equals."""
        self.arrivals += 1
        self.waiting[simulation.request.id] = Place(simulation, self.arrivals)

    def find(self, request_id: str) -> Simulation | None:
        """A request, wherever it is."""
        place = self.running.get(request_id) or self.waiting.get(request_id)
        return None if place is None else place.simulation

    def find_running(self, request_id: str) -> Simulation | None:
        """A request that has a place in the batch."""
        place = self.running.get(request_id)
        return None if place is None else place.simulation

    def forget(self, request_id: str) -> Simulation | None:
        """Drop a request wherever it is, with what it holds; ``None`` when it is not here."""
        place = self.running.pop(request_id, None) or self.waiting.pop(request_id, None)
        return None if place is None else place.simulation

    def admit(self, step: int) -> None:
        """Start who fits, the most urgent first; one that does not fit is passed by, or displaces lesser ones."""
        for waiter in admission_order(self._waiter(place) for place in self.waiting.values()):
            for request_id in self._displaced(waiter):
                self._park(self.running.pop(request_id).simulation)
            if len(self.running) < self.places and waiter.pages <= self.free_pages:
                place = self.waiting.pop(waiter.request_id)
                place.joined = place.simulation.progress.waited_since = step
                self._share_prefix(place.simulation)
                self.running[waiter.request_id] = place

    def check_integrity(self) -> None:
        """Raise :class:`RuntimeError` when places, pages and requests do not add up."""
        if self.free_pages < 0 or len(self.running) > self.places:
            raise RuntimeError(f"{len(self.running)} requests run in {self.places} places and {self.pages} pages")
        if self.running.keys() & self.waiting.keys():
            raise RuntimeError("a request runs and waits")

    def _share_prefix(self, simulation: Simulation) -> None:
        """Take what others have encoded of the prompt, and leave one's own for others."""
        request, size = simulation.request, page_size_of(self.spec)
        key = prefix_key(request, self.spec)
        if key is None:
            return
        hashes = page_hashes(request.prompt[: first_start(request, self.spec)], size, key)
        shared = self.shelf.leading(hashes) * size
        self.shelf.put(hashes)
        self.reused_positions += shared
        simulation.progress.cached = shared
        simulation.usage = replace(simulation.usage, cached_tokens=shared)

    def _displaced(self, waiter: Waiter) -> tuple[str, ...]:
        least = min((place.simulation.request.priority for place in self.running.values()), default=math.inf)
        if waiter.priority <= least:
            return ()
        return preempt(waiter, self._occupants(), self.places - len(self.running), self.free_pages)

    def _park(self, simulation: Simulation) -> None:
        """Back into the queue, without what it had cached."""
        simulation.progress.lose_cache()
        self.queue(simulation)
        self.preemptions += 1

    def _waiter(self, place: Place) -> Waiter:
        request = place.simulation.request
        return Waiter(request.id, request.priority, request.deadline, self.pages_of(request), place.arrived)

    def _occupants(self) -> list[Occupant]:
        requests = [(name, place.simulation.request, place.joined) for name, place in self.running.items()]
        return [Occupant(name, it.priority, it.deadline, self.pages_of(it), joined) for name, it, joined in requests]
