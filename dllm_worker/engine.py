"""The engine: requests join and leave between steps, and every step is one forward pass over packed rows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import IntegrityError, PagePool
from dllm_worker.decode import decode
from dllm_worker.models.loading import LoadedModel
from dllm_worker.planner import PlannedRows, StepKind, plan
from dllm_worker.request import Event, Finish, Request, RequestError
from dllm_worker.running import Running, cache_positions
from dllm_worker.validate import validate


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one engine takes on: canvases denoised together, position-forwards a step, cached positions.

    A bidirectional model caches nothing, and no memory is set aside for it.
    """

    max_running: int = 32
    position_budget: int = 1024
    cache_positions: int = 16_384


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A momentary view, and since the start the steps and position-forwards."""

    running: int
    waiting: int
    free_pages: int
    pages: int
    steps: int
    position_forwards: int


class Engine:
    """Single-threaded. What it holds for a request (a place in the batch, cache pages) is freed when it ends."""

    def __init__(self, model: LoadedModel, limits: EngineLimits | None = None) -> None:
        self.model, self.limits = model, limits or EngineLimits()
        page_size = model.spec.canvas_length
        cached = 0 if model.spec.context_attention == "bidirectional" else self.limits.cache_positions
        pages = -(-cached // page_size)
        self.pool = PagePool(model.denoiser.cache_shape, pages, page_size, model.dtype, model.device)
        self._waiting: deque[Request] = deque()
        self._running: dict[str, Running] = {}
        self._steps = 0
        self._position_forwards = 0

    def add(self, request: Request) -> None:
        """Queue a request; :class:`RequestError` when this model or engine can never run it."""
        validate(request, self.model.spec)
        if request.id in self._running or any(other.id == request.id for other in self._waiting):
            raise RequestError(f"request id {request.id!r} is in use", "id")
        if self.pool.pages_for(cache_positions(request, self.model.spec)) > self.pool.pages:
            raise RequestError("the request needs more cache than this engine has", "prompt")
        self._waiting.append(request)

    def abort(self, request_id: str) -> Finish | None:
        """Forget a request at once; returns what it has used, or ``None`` when it is not here."""
        running = self._running.get(request_id)
        if running is not None:
            self._release(request_id)
            return Finish(request_id, "abort", running.usage)
        kept = deque(request for request in self._waiting if request.id != request_id)
        found = next((request for request in self._waiting if request.id == request_id), None)
        self._waiting = kept
        return Finish(request_id, "abort", Running.idle_usage(found)) if found else None

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    def stats(self) -> EngineStats:
        """Counters and gauges as of the last step."""
        return EngineStats(
            running=len(self._running),
            waiting=len(self._waiting),
            free_pages=self.pool.free_pages,
            pages=self.pool.pages,
            steps=self._steps,
            position_forwards=self._position_forwards,
        )

    def admitted(self, request_id: str) -> bool:
        """Whether the request has left the queue for the batch."""
        return request_id in self._running

    def check_integrity(self) -> None:
        """Raise :class:`IntegrityError` when pages, slots and requests do not add up; idle means empty."""
        self.pool.check_integrity({name for name, run in self._running.items() if run.slots.numel()})
        for name, running in self._running.items():
            if running.is_inconsistent:
                raise IntegrityError(f"request {name} has cached {running.cached} of {running.canvas.start} positions")

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Admit who fits, run one forward pass, return what became of it. Without work it returns nothing."""
        self._admit()
        planned = plan((running.demand for running in self._running.values()), self.limits.position_budget)
        if not planned:
            return []
        self._steps += 1
        self._position_forwards += sum(rows.positions for rows in planned)
        events = self._forward(planned)
        for event in events:
            if isinstance(event, Finish):
                self._release(event.request_id)
        return events

    def _admit(self) -> None:
        kept: deque[Request] = deque()
        while self._waiting:
            request = self._waiting.popleft()
            if len(self._running) < self.limits.max_running and self._start(request):
                continue
            kept.append(request)
        self._waiting = kept

    def _start(self, request: Request) -> bool:
        positions = cache_positions(request, self.model.spec)
        slots = torch.empty(0, dtype=torch.int64, device=self.model.device)
        if positions:
            allocated = self.pool.allocate(request.id, positions)
            if allocated is None:
                return False
            slots = allocated
        running = Running.start(request, self.model.spec, slots)
        running.waited_since = self._steps
        self._running[request.id] = running
        return True

    def _forward(self, planned: tuple[PlannedRows, ...]) -> list[Event]:
        blocks: list[BlockRows] = []
        denoised: list[tuple[Running, int]] = []
        row = 0
        for rows in planned:
            running = self._running[rows.request_id]
            running.waited_since = self._steps
            if rows.kind is StepKind.REUSE:
                denoised.append((running, row))
            blocks += running.blocks(rows.positions)
            row += rows.positions
        batch = pack(blocks, self.model.device)
        attend = SegmentAttention(self.pool, batch.segments)
        hidden = self.model.denoiser(batch.token_ids, batch.positions, attend)
        for rows in planned:
            self._running[rows.request_id].account(rows.kind, rows.positions)
        return decode(hidden, denoised, self.model)

    def _release(self, request_id: str) -> None:
        running = self._running.pop(request_id)
        if running.slots.numel():
            self.pool.release(request_id)
