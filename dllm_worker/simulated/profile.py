"""The course of a request without its text: which passes it needs, one after the other, and of how many rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from dllm_worker.scheduling.planner import Demand, StepKind


@dataclass(frozen=True, slots=True)
class Profile:
    """``steps[i]`` denoising steps for the i-th canvas, which has ``lengths[i]`` positions, behind ``prompt`` others.

    Without ``refresh_every`` the cache is exact: the prompt is prefilled in pieces and every canvas but the last is
    committed. With it the whole sequence is computed anew at the start of a canvas and after that many steps. Every
    position counts once for each of the ``streams``.
    """

    prompt: int
    lengths: tuple[int, ...]
    steps: tuple[int, ...]
    refresh_every: int | None = None
    streams: int = 1

    def __post_init__(self) -> None:
        if len(self.lengths) != len(self.steps) or not self.steps or min(*self.lengths, *self.steps) < 1:
            raise ValueError(f"canvases of {self.lengths} positions do not go with {self.steps} steps")

    @property
    def answer(self) -> int:
        """Positions of all its canvases."""
        return sum(self.lengths)

    @property
    def total(self) -> int:
        """All its positions."""
        return self.prompt + self.answer


@dataclass(slots=True)
class Progress:
    """How far a request is: ``step`` of ``canvas``, with ``cached`` positions of an exact cache.

    One that goes on after an interruption writes all before its canvas into the cache again, as a prefill: ``known``
    positions were there when it came or came back. An approximate cache goes on with its next step.
    """

    name: str
    profile: Profile
    waited_since: int = 0
    canvas: int = 0
    step: int = 0
    priority: int = 0
    deadline: float | None = None
    cached: int = field(init=False)
    known: int = field(init=False)
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.profile.prompt + sum(self.profile.lengths[: self.canvas])
        self.lose_cache()

    @property
    def has_ended(self) -> bool:
        return self.canvas == len(self.profile.steps)

    @property
    def kind(self) -> StepKind:
        every = self.profile.refresh_every
        if every is not None:
            return StepKind.REUSE if self.step % every else StepKind.REFRESH
        if self.cached == self.start:
            return StepKind.REUSE
        return StepKind.PREFILL if self.cached < self.known else StepKind.COMMIT

    @property
    def demand(self) -> Demand:
        kind, length = self.kind, self.profile.lengths[self.canvas]
        if kind is StepKind.PREFILL:
            uncached, grain = self.start - self.cached, self.profile.lengths[0]
            return self._demand(kind, uncached, min(grain, uncached), grain)
        rows = {StepKind.REUSE: length, StepKind.COMMIT: self.start - self.cached, StepKind.REFRESH: self.profile.total}
        return self._demand(kind, rows[kind], rows[kind], 0)

    @property
    def stage(self) -> tuple[int, int]:
        """The canvas and the pass within it; the pass that opens a canvas, of any kind, is the first."""
        opens = self.profile.refresh_every is None and self.kind is StepKind.REUSE
        return self.canvas, self.step + opens

    def serve(self, positions: int, number: int) -> None:
        """Take the rows of step ``number``."""
        self.waited_since = number
        if self.kind in (StepKind.PREFILL, StepKind.COMMIT):
            self.cached += positions // self.profile.streams
            return
        self.step += 1
        if self.step == self.profile.steps[self.canvas]:
            self.start += self.profile.lengths[self.canvas]
            self.canvas, self.step = self.canvas + 1, 0

    def lose_cache(self) -> None:
        """Interrupt it where it is."""
        self.cached, self.known = 0, self.start

    def _demand(self, kind: StepKind, positions: int, first: int, grain: int) -> Demand:
        each = self.profile.streams
        return Demand(
            self.name,
            kind,
            positions * each,
            first * each,
            grain * each,
            self.waited_since,
            self.priority,
            self.deadline,
        )


def position_forwards(profile: Profile) -> int:
    """All that a request evaluates; no scheduler changes it."""
    progress, total = Progress("", profile), 0
    while not progress.has_ended:
        positions = progress.demand.positions
        progress.serve(positions, 0)
        total += positions
    return total
