"""Who runs: places in the batch and pages of cache, given by urgency and taken back by parking."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dllm_worker.cache.pages import IntegrityError, PagePool
from dllm_worker.cache.prefix import page_hashes, prefix_key
from dllm_worker.canvas import attention_of, first_start, is_seeded, last_start, streams, total_length
from dllm_worker.checkpoint import Checkpoint, checkpoint_of, restore
from dllm_worker.decoding.pace import skip_idle_steps
from dllm_worker.forecast import Reached, reached
from dllm_worker.noise import Draws
from dllm_worker.request import Request, Usage
from dllm_worker.running import Running
from dllm_worker.scheduling.planner import Occupant, Waiter, admission_order, preempt
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request in the queue, with the checkpoint it goes on from if it has run before."""

    request: Request
    checkpoint: Checkpoint | None
    arrived: int

    @property
    def usage(self) -> Usage:
        return Running.idle_usage(self.request) if self.checkpoint is None else self.checkpoint.usage

    def reached(self, spec: ModelSpec) -> Reached:
        """How far it is, for forecasts; what it had cached has to be made again."""
        if self.checkpoint is None:
            return reached(self.request, spec)
        canvas = self.checkpoint.canvases[0]
        first = canvas.start - len(self.request.prompt)
        masked = int(self.checkpoint.masked[max(0, first) : first + canvas.length].sum())
        return Reached(canvas.start, masked, canvas.step)


@dataclass(slots=True)
class Admission:
    """``running`` requests own their pages; ``waiting`` ones own nothing."""

    spec: ModelSpec
    pool: PagePool
    draws: Draws
    places: int
    running: dict[str, Running] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    preemptions: int = 0
    arrivals: int = 0
    unpublished: set[str] = field(default_factory=set)

    def next_arrival(self) -> int:
        self.arrivals += 1
        return self.arrivals

    def knows(self, request_id: str) -> bool:
        return request_id in self.running or any(item.request.id == request_id for item in self.waiting)

    def can_ever_fit(self, request: Request) -> bool:
        """Whether an empty pool has room for all that the request will ever cache."""
        return self._pages(request) <= self.pool.pages

    def admit(self, step: int) -> None:
        """Start who fits, the most urgent first; one that does not fit is passed by, or displaces lesser ones."""
        if not self._may_start():
            return
        items = {item.request.id: item for item in self.waiting}
        for waiter in admission_order(self._waiter(item) for item in self.waiting):
            item = items[waiter.request_id]
            for request_id in self._displaced(waiter):
                self._park(request_id)
            if len(self.running) < self.places and self._start(item, step):
                self.waiting.remove(item)

    def _may_start(self) -> bool:
        """Whether there is a place, or someone in one who is less important than someone in the queue."""
        if len(self.running) < self.places:
            return bool(self.waiting)
        return any(item.request.priority > self._least_priority for item in self.waiting)

    @property
    def _least_priority(self) -> float:
        return min((run.request.priority for run in self.running.values()), default=math.inf)

    def _displaced(self, waiter: Waiter) -> tuple[str, ...]:
        if waiter.priority <= self._least_priority:
            return ()
        return preempt(waiter, self._occupants(), self.places - len(self.running), self.pool.free_pages)

    def release(self, request_id: str) -> None:
        """Take back what a request holds; whole pages of what it has cached stay for others to share."""
        run = self.running.pop(request_id)
        self.unpublished.discard(request_id)
        if run.slots[0].numel():
            self._publish(run)
            for name in _owners(run.request):
                self.pool.release(name)

    def forget(self, request_id: str) -> Usage | None:
        """Drop a request wherever it is; what it has used, ``None`` when it is not here."""
        usage, item = self.usage(request_id), self._waiter_named(request_id)
        if request_id in self.running:
            self.release(request_id)
        elif item is not None:
            self.waiting.remove(item)
        return usage

    def usage(self, request_id: str) -> Usage | None:
        """What a request has used, wherever it is; ``None`` when it is not here."""
        place = self.running.get(request_id) or self._waiter_named(request_id)
        return None if place is None else place.usage

    def parked(self, request_id: str) -> Checkpoint | None:
        """The checkpoint with which a request waits to go on."""
        item = self._waiter_named(request_id)
        return None if item is None else item.checkpoint

    def _waiter_named(self, request_id: str) -> Waiting | None:
        return next((item for item in self.waiting if item.request.id == request_id), None)

    def publish_prefixes(self) -> None:
        """Let others share the prompts that have just been encoded whole."""
        for request_id in list(self.unpublished):
            run = self.running[request_id]
            if run.cached >= run.known:
                self._publish(run)
                self.unpublished.discard(request_id)

    def check_integrity(self) -> None:
        """Raise :class:`IntegrityError` when pages and requests do not add up."""
        owners = {name for run in self.running.values() if run.slots[0].numel() for name in _owners(run.request)}
        self.pool.check_integrity(owners)
        for name, run in self.running.items():
            if run.is_inconsistent:
                raise IntegrityError(f"request {name} has cached {run.cached} of {run.canvas.start} positions")

    def _start(self, item: Waiting, step: int) -> bool:
        request = item.request
        allocated = self._allocate(request)
        if allocated is None:
            return False
        slots, reused = allocated
        run = Running.start(request, self.spec, slots, self.draws, cached=reused)
        if item.checkpoint is not None:
            restore(run, item.checkpoint)
        skip_idle_steps(run)
        run.waited_since = run.joined = step
        self.running[request.id] = run
        if slots[0].numel():
            self.unpublished.add(request.id)
        return True

    def _allocate(self, request: Request) -> tuple[tuple[Tensor, ...], int] | None:
        """Slots of each stream and the positions that others have written already, or ``None``."""
        positions = cache_positions(request, self.spec)
        if not positions:
            return (torch.empty(0, dtype=torch.int64, device=self.pool.device),) * streams(request), 0
        if self._pages(request) > self.pool.free_pages:
            return None
        slots: list[Tensor] = []
        reused = 0
        for name in _owners(request):
            allocation = self.pool.allocate(name, positions, self._shared_prefix(request))
            if allocation is None:
                raise IntegrityError(f"{name} fits by its pages and yet does not")
            slots.append(allocation.slots)
            reused = allocation.reused
        return tuple(slots), reused

    def _shared_prefix(self, request: Request) -> tuple[bytes, ...]:
        """Hashes of the pages that this request may share, short of the row that its first canvas needs."""
        needed = 1 if is_seeded(request, self.spec) or self.spec.logit_shift else 0
        return self._hashes(request, list(request.prompt[: max(0, first_start(request, self.spec) - needed)]))

    def _hashes(self, request: Request, tokens: list[int]) -> tuple[bytes, ...]:
        key = prefix_key(request, self.spec)
        return () if key is None else page_hashes(tokens, self.pool.page_size, key)

    def _publish(self, run: Running) -> None:
        if prefix_key(run.request, self.spec) is not None:
            tokens: list[int] = run.sequence.tokens[: min(run.cached, run.canvas.start)].tolist()
            self.pool.publish(run.request.id, self._hashes(run.request, tokens))

    def _park(self, request_id: str) -> None:
        run = self.running[request_id]
        self.waiting.append(Waiting(run.request, checkpoint_of(run), self.next_arrival()))
        self.release(request_id)
        self.preemptions += 1

    def _pages(self, request: Request) -> int:
        return self.pool.pages_for(cache_positions(request, self.spec)) * streams(request)

    def _waiter(self, item: Waiting) -> Waiter:
        request = item.request
        return Waiter(request.id, request.priority, request.deadline, self._pages(request), item.arrived)

    def _occupants(self) -> list[Occupant]:
        return [
            Occupant(name, run.request.priority, run.request.deadline, self._pages(run.request), run.joined)
            for name, run in self.running.items()
        ]


def _owners(request: Request) -> list[str]:
    return [request.id, f"{request.id} unguided"][: streams(request)]


def cache_positions(request: Request, spec: ModelSpec) -> int:
    """Positions whose keys and values the request will ever need.

    An exact cache holds all before the last canvas, an approximate one and one that is checked against all of them.
    """
    approximate = request.cache.kind != "none" or request.sampling.algorithm == "linear_speculation"
    if attention_of(request, spec) == "bidirectional":
        return total_length(request) if approximate else 0
    return total_length(request) if approximate else last_start(request, spec)
