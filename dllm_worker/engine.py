"""The engine: requests join and leave between steps, and every step is one forward pass over packed rows."""

from __future__ import annotations

import torch

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.cache.prefix import page_size_of
from dllm_worker.checkpoint import Checkpoint, checkpoint_of
from dllm_worker.decoding.discipline import demand_of, next_pass
from dllm_worker.decoding.passes import Span
from dllm_worker.decoding.step import Observe, decode
from dllm_worker.decoding.turns import Turn
from dllm_worker.interface import CheckpointError, EngineLimits, EngineLoad, EngineStats, fingerprint
from dllm_worker.models.loading import LoadedModel
from dllm_worker.noise import CountedNoise, Draws
from dllm_worker.request import Event, Finish, Request, RequestError, Usage
from dllm_worker.scheduling.admission import Admission, Waiting
from dllm_worker.scheduling.planner import PlannedRows, plan
from dllm_worker.scheduling.prospect import Prospect
from dllm_worker.spec import ModelSpec
from dllm_worker.tally import Tally
from dllm_worker.validate import validate
from dllm_worker.work import Look, network_cost


class Engine:
    """Single-threaded. What it holds for a request (a place in the batch, cache pages) is freed when it ends.

    ``draws`` are the source of all chance; ``observe`` is told what every pass did to every canvas.
    """

    def __init__(
        self,
        model: LoadedModel,
        limits: EngineLimits | None = None,
        draws: Draws | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.model, self.limits = model, limits or EngineLimits()
        self.draws, self.observe = draws or CountedNoise(), observe
        page_size = page_size_of(model.spec)
        pages = -(-self.limits.cache_positions // page_size)
        self.pool = PagePool(model.denoiser.cache_shape, pages, page_size, model.dtype, model.device)
        self._admission = Admission(model.spec, self.pool, self.draws, self.limits.max_running)
        self._prospect = Prospect(model.spec, self.limits)
        self._steps = 0
        self._cost, self._tally = network_cost(model.denoiser), Tally()

    def add(self, request: Request) -> None:
        """Queue a request; :class:`RequestError` when this model or engine can never run it."""
        self._queue(request, None)

    def resume(self, request: Request, checkpoint: Checkpoint) -> None:
        """Queue a request that was parked, here or elsewhere; it goes on at the step it had reached.

        Raises :class:`RequestError`, and :class:`CheckpointError` for the checkpoint of another request.
        """
        if checkpoint.fingerprint != fingerprint(request):
            raise CheckpointError(f"the checkpoint of {checkpoint.request_id} belongs to another request")
        self._queue(request, checkpoint)

    def read_checkpoint(self, data: bytes) -> Checkpoint:
        """The checkpoint in ``data``; :class:`CheckpointError` when there is none."""
        return Checkpoint.from_bytes(data)

    def checkpoint(self, request_id: str, *, lean: bool = False) -> Checkpoint | None:
        """A running request as it is, which runs on; ``None`` when it does not run.

        ``lean`` leaves out a self-conditioned canvas's soft embedding, see :func:`checkpoint_of`.
        """
        running = self._admission.running.get(request_id)
        return None if running is None else checkpoint_of(running, lean=lean)

    def park(self, request_id: str, *, lean: bool = False) -> Checkpoint | None:
        """Take a request out as a value; ``None`` when it has not started or is not here.

        One that waits to go on leaves with the checkpoint that it waits with.
        """
        checkpoint = self.checkpoint(request_id, lean=lean) or self._admission.parked(request_id)
        if checkpoint is not None:
            self._admission.forget(request_id)
        return checkpoint

    def conclude(self, request_id: str) -> Finish | None:
        """End a request with the canvas it has; see :meth:`dllm_worker.interface.StepEngine.conclude`."""
        running = self._admission.running.get(request_id)
        if running is None or running.is_untouched:
            usage = self._admission.forget(request_id)
            return None if usage is None else Finish(request_id, "deadline", usage)
        running.concluding = True
        return None

    def abort(self, request_id: str) -> Finish | None:
        """Forget a request at once; returns what it has used, or ``None`` when it is not here."""
        usage = self._admission.forget(request_id)
        return None if usage is None else Finish(request_id, "abort", usage)

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self.model.spec

    @property
    def has_work(self) -> bool:
        return bool(self._admission.running or self._admission.waiting)

    def stats(self) -> EngineStats:
        """Counters and gauges as of the last step."""
        return EngineStats(
            running=len(self._admission.running),
            waiting=len(self._admission.waiting),
            free_pages=self.pool.free_pages,
            pages=self.pool.pages,
            steps=self._steps,
            position_forwards=self._tally.position_forwards,
            reused_positions=self.pool.reused_positions_total,
            preemptions=self._admission.preemptions,
            flops=self._tally.flops,
            bytes=self._tally.bytes,
            kinds=dict(self._tally.kinds),
        )

    def admitted(self, request_id: str) -> bool:
        """Whether the request has left the queue for the batch."""
        return request_id in self._admission.running

    def at_boundary(self, request_id: str) -> bool:
        """Whether a running request stands between two canvases."""
        running = self._admission.running.get(request_id)
        return running is not None and running.is_at_boundary

    def usage(self, request_id: str) -> Usage:
        """What a request that runs or waits has used since its start; nothing when it is not here."""
        return self._admission.usage(request_id) or Usage()

    def load(self) -> EngineLoad:
        """What is still to be done, and what is cached."""
        running = [(run.request, run.reached) for run in self._admission.running.values()]
        waiting = [(item.request, item.reached(self.model.spec)) for item in self._admission.waiting]
        return EngineLoad(
            free_places=max(0, self.limits.max_running - len(running) - len(waiting)),
            backlog=self._prospect.backlog([*running, *waiting]),
            refresh_due=self._prospect.refresh_due([*running, *waiting]),
            prefixes=self.pool.published,
        )

    def check_integrity(self) -> None:
        """Raise :class:`IntegrityError` when pages, slots and requests do not add up; idle means empty."""
        self._admission.check_integrity()

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Admit who fits, run one forward pass, return what became of it. Without work it returns nothing."""
        self._admission.admit(self._steps)
        running = self._admission.running
        planned = plan([demand_of(run) for run in running.values()], self.limits.step_budget)
        if not planned:
            return []
        self._steps += 1
        events = self._forward(planned)
        for event in events:
            if isinstance(event, Finish):
                self._prospect.learn(event.usage)
                self._admission.release(event.request_id)
        self._admission.publish_prefixes()
        return events

    def _queue(self, request: Request, checkpoint: Checkpoint | None) -> None:
        validate(request, self.model.spec)
        if self._admission.knows(request.id):
            raise RequestError(f"request id {request.id!r} is in use", "id")
        if not self._admission.can_ever_fit(request):
            raise RequestError("the request needs more cache than this engine has", "prompt")
        self._admission.waiting.append(Waiting(request, checkpoint, self._admission.next_arrival()))

    def _forward(self, planned: tuple[PlannedRows, ...]) -> list[Event]:
        blocks: list[BlockRows] = []
        turns: list[Turn] = []
        row = 0
        for rows in planned:
            run = self._admission.running[rows.request_id]
            run.waited_since = self._steps
            fed = next_pass(run, rows.positions // len(run.slots))
            turns.append(Turn(run, fed, row))
            for stream in range(len(run.slots)):
                blocks += run.blocks(fed, stream)
            row = turns[-1].stop
        self._count(turns)
        denoiser, spec = self.model.denoiser, self.model.spec
        width = denoiser.input_embedding.shape[1] if spec.self_conditioning else None
        batch = pack(blocks, self.model.device, conditioning=width)
        hidden = denoiser(batch.rows, SegmentAttention(self.pool, batch.segments))
        return decode(hidden, turns, self.model, self.draws, self.observe)

    def _count(self, turns: list[Turn]) -> None:
        """Enter the work of a pass: what its rows look at, and for which of them there are logits."""
        looks: list[Look] = []
        head_rows = 0
        for turn in turns:
            streams = len(turn.run.slots)
            looks += streams * [_look(span) for span in turn.fed.spans]
            head_rows += len(turn.fed.eligible)
            self._tally.kinds[turn.fed.kind] += turn.fed.positions * streams
        work = self._cost.of(looks, head_rows, head_rows if self.model.spec.self_conditioning else 0)
        self._tally.flops += work.flops
        self._tally.bytes += work.bytes


def _look(span: Span) -> Look:
    after = max(0, span.sees - span.stop)
    return Look(span.stop - span.start, span.start, after, stored=span.stored, causal=span.causal)
