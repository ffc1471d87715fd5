"""How long the canvases of one run take, seen from the outside: from what each step committed and used."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.run import CanvasTimes
from dllm_worker.canvas import first_start, total_length
from dllm_worker.request import Commit, Event, Finish, Request, Usage
from dllm_worker.spec import ModelSpec

MOST_SUMMARIES = 8
"""Of one canvas; where it takes more steps, every second, fourth, ... of them is told."""


TOKEN_BY_TOKEN = ("autoregressive", "linear_speculation")
"""Algorithms whose canvases do not stand on a grid."""


class Canvases:
    """The canvases of a run of which ``committed`` tokens and ``usage`` were there when it began.

    A canvas ends with the step that commits its last position, or with the request. Of canvases that are denoised
    together the first has all steps. Algorithms that go token by token are told in stretches as long as the model's
    own canvas.
    """

    _denoised_from: float | None

    def __init__(self, request: Request, spec: ModelSpec, committed: int, usage: Usage) -> None:
        self._prompt, self._total = len(request.prompt), total_length(request)
        self._first, self._committed = first_start(request, spec), committed
        named = None if request.sampling.algorithm in TOKEN_BY_TOKEN else request.canvas_length
        length = named or spec.canvas_length
        self._length = length if request.template is None else self._total - self._first
        self._index = (self._prompt + committed - self._first) // self._length
        self._usage = usage
        self._now = 0.0
        self._open(usage)

    def admit(self, at: float) -> None:
        """The run has a place in the batch."""
        self._opened = self._now = at

    def turn(self, usage: Usage, events: Sequence[Event], began: float, ended: float) -> list[CanvasTimes]:
        """A step that brought ``events``, after which the request has used ``usage``; the canvases that it ended."""
        denoised = usage.denoising_steps > self._usage.denoising_steps
        if denoised and self._denoised_from is None:
            self._denoised_from = began
        self._usage, self._now = usage, ended
        for event in events:
            if isinstance(event, Commit):
                self._committed = event.start + len(event.tokens)
        if denoised:
            self._summarise()
        told = []
        while self._start < self._end <= self._prompt + self._committed:
            told.append(self._close(ended=True))
        return told + (self.leave(ended=True) if events and isinstance(events[-1], Finish) else [])

    def leave(self, *, ended: bool = False) -> list[CanvasTimes]:
        """The canvas on which the run has worked and that has not ended before, if there is one."""
        worked = self._usage.position_forwards > self._before.position_forwards
        return [self._close(ended=ended)] if worked else []

    @property
    def _start(self) -> int:
        return self._first + self._index * self._length

    @property
    def _end(self) -> int:
        return min(self._start + self._length, self._total)

    def _open(self, usage: Usage) -> None:
        self._before, self._committed_before = usage, self._committed
        self._opened = self._now
        self._denoised_from = None
        self._summaries: list[tuple[int, float, int]] = []
        self._every = 1

    @property
    def _steps(self) -> int:
        return self._usage.denoising_steps - self._before.denoising_steps

    def _summarise(self) -> None:
        if self._steps % self._every or self._denoised_from is None:
            return
        self._summaries.append((self._steps, self._now - self._denoised_from, self._committed))
        if len(self._summaries) > MOST_SUMMARIES:
            self._every *= 2
            self._summaries = [summary for summary in self._summaries if summary[0] % self._every == 0]

    def _close(self, *, ended: bool) -> CanvasTimes:
        begun = self._now if self._denoised_from is None else self._denoised_from
        times = CanvasTimes(
            index=self._index,
            length=self._end - self._start,
            prefill=begun - self._opened,
            seconds=self._now - begun,
            steps=self._steps,
            position_forwards=self._usage.position_forwards - self._before.position_forwards,
            committed=self._committed - self._committed_before,
            ended=ended,
            summaries=tuple(self._summaries),
        )
        self._index += 1
        self._open(self._usage)
        return times
