"""One request in a simulated engine: how far it is, and what its listeners hear."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dllm_worker.canvas import total_length
from dllm_worker.forecast import Reached
from dllm_worker.interface import fingerprint
from dllm_worker.request import Commit, Draft, Event, Finish, Request, Usage
from dllm_worker.scheduling.planner import PlannedRows, StepKind
from dllm_worker.simulated.checkpoint import SimulatedCheckpoint
from dllm_worker.simulated.course import profile_of, token_at
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Progress
from dllm_worker.spec import ModelSpec


@dataclass(slots=True)
class Simulation:
    """A request that runs or waits. ``told`` tokens of its answer are committed: a part of its canvas in each step.

    One that is ``concluding`` settles its canvas in its next denoising step and ends with that.
    """

    request: Request
    spec: ModelSpec
    vocabulary: tuple[int, ...]
    progress: Progress
    usage: Usage
    told: int = 0
    concluding: bool = False

    @staticmethod
    def start(
        request: Request,
        spec: ModelSpec,
        vocabulary: tuple[int, ...],
        device: SimulatedDevice,
        checkpoint: SimulatedCheckpoint | None = None,
    ) -> Simulation:
        """Where ``checkpoint`` of the same request was taken, or at the beginning."""
        begun = checkpoint or SimulatedCheckpoint(request.id, "", 0, 0, 0, Usage(len(request.prompt), canvases=1))
        progress = Progress(
            request.id,
            profile_of(request, spec, device),
            canvas=begun.canvas,
            step=begun.step,
            priority=request.priority,
            deadline=request.deadline,
        )
        return Simulation(request, spec, vocabulary, progress, begun.usage, begun.told)

    def checkpoint(self) -> SimulatedCheckpoint:
        """What it needs to go on elsewhere, at the step it has reached."""
        progress = self.progress
        return SimulatedCheckpoint(
            self.request.id, fingerprint(self.request), progress.canvas, progress.step, self.told, self.usage
        )

    @property
    def is_untouched(self) -> bool:
        """Whether nothing has been done to its canvas."""
        return self.progress.step == 0

    @property
    def is_at_boundary(self) -> bool:
        """Whether it stands between two canvases."""
        return self.progress.canvas > 0 and self.is_untouched

    @property
    def reached(self) -> Reached:
        """How far it is, for forecasts."""
        progress, prompt = self.progress, len(self.request.prompt)
        end = progress.start + progress.profile.lengths[progress.canvas]
        every = progress.profile.refresh_every
        refreshed = None if every is None or not progress.step else (progress.step - 1) // every * every
        return Reached(progress.start, end - prompt - self.told, progress.step, progress.cached, refreshed)

    def serve(self, rows: PlannedRows, number: int) -> list[Event]:
        """Take the rows of step ``number``; the events of that pass."""
        progress, denoises = self.progress, rows.kind in (StepKind.REUSE, StepKind.REFRESH)
        canvas, start, steps = progress.canvas, progress.start, progress.profile.steps[progress.canvas]
        if denoises and self.concluding:
            progress.step = steps - 1
        step = progress.step + 1
        progress.serve(rows.positions, number)
        self._account(rows, denoises=denoises, opened=progress.canvas - canvas if not progress.has_ended else 0)
        if not denoises:
            return []
        prompt = len(self.request.prompt)
        begin, end = max(start, prompt) - prompt, start + progress.profile.lengths[canvas] - prompt
        settled = begin + (end - begin) * step // steps
        return [*self._draft(canvas, step, begin, settled, end), *self._commit(canvas, step, settled), *self._finish()]

    def _account(self, rows: PlannedRows, *, denoises: bool, opened: int) -> None:
        usage = self.usage
        self.usage = replace(
            usage,
            canvases=usage.canvases + opened,
            denoising_steps=usage.denoising_steps + denoises,
            prefill_forwards=usage.prefill_forwards + (rows.kind is StepKind.PREFILL),
            commit_forwards=usage.commit_forwards + (rows.kind is StepKind.COMMIT),
            position_forwards=usage.position_forwards + rows.positions,
        )

    def _draft(self, canvas: int, step: int, begin: int, settled: int, end: int) -> list[Event]:
        if not self.request.drafts:
            return []
        tokens = self._tokens(begin, settled) + (self.spec.mask_token_id or 0,) * (end - settled)
        return [Draft(self.request.id, canvas, step, begin, tokens, end - settled)]

    def _commit(self, canvas: int, step: int, settled: int) -> list[Event]:
        start, stop = self.told, settled
        if stop == start:
            return []
        self.told = stop
        template = self.request.template
        written = stop - start if template is None else template[start:stop].count(None)
        self.usage = replace(self.usage, completion_tokens=self.usage.completion_tokens + written)
        return [Commit(self.request.id, canvas, step, start, self._tokens(start, stop), self.usage)]

    def _finish(self) -> list[Event]:
        if self.told == total_length(self.request) - len(self.request.prompt):
            return [Finish(self.request.id, "length" if self.request.template is None else "stop", self.usage)]
        return [Finish(self.request.id, "deadline", self.usage)] if self.concluding else []

    def _tokens(self, start: int, stop: int) -> tuple[int, ...]:
        return tuple(token_at(self.request, position, self.vocabulary) for position in range(start, stop))
