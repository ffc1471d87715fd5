"""What is seen of one run of a request: where it went, its canvases, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from opentelemetry.trace import Span, SpanKind, set_span_in_context

from deployments.telemetry import attributes as names
from deployments.telemetry.spans import Trace, nanoseconds
from deployments.telemetry.tracing import traceparent_of
from dllm_worker.request import Commit, Draft, Finish

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from deployments.run import CanvasTimes, Progress, Run
    from deployments.telemetry.spans import Attributes
    from dllm_worker.request import Usage

Outcome = Literal["finished", "parked", "moved", "failed", "cancelled"]
"""How a run ended: with the answer; at a boundary, where the replica parked it or the gateway left the replica; with an
error; or given up, by its tenant or by this gateway."""


class Attempt:
    """The span ``generate``, with ``route`` beside it and ``prefill`` and the canvases in it.

    The replica measures its canvases, and each is entered when its message comes: it has ended then. So a replica that
    dies takes none of them along, and of the canvas that it was at the gateway itself tells how long it has been.
    """

    def __init__(self, trace: Trace, run: Run, model: str, operation: str, canvas: int) -> None:
        """``operation`` is the GenAI conventions' name of what is asked for, empty where it is not known. ``canvas`` is
        the number of the one that the run begins with, as far as is known.
        """
        self._trace = trace
        self.replica, self.canvas = "", canvas
        now = trace.clock()
        self._generate = trace.start(
            f"{names.GENERATE} {model}", _asked(run, model, operation), kind=SpanKind.CLIENT, at=now
        )
        self._context = set_span_in_context(self._generate, trace.root)
        self._route: Span | None = trace.start(names.ROUTE, {names.EPOCH: run.epoch}, at=now)
        self._taken_at = now
        self._admitted_at: float | None = None
        self._opened: float | None = None
        self._prefill = self._decode = 0.0
        self._between = self._parked = self._whole = self._ended = False

    @property
    def traceparent(self) -> str:
        """For the replica; empty when nothing is recorded."""
        return traceparent_of(self._context)

    @property
    def left(self) -> Outcome:
        """How the request left the replica, if nothing went wrong and it was not finished there."""
        return "parked" if self._parked else "moved"

    def heard(self, progress: Progress) -> None:
        """A message has come."""
        now = self._trace.clock()
        self.replica = progress.replica or self.replica
        if self._route is not None:
            self._routed(self._route, progress)
        if progress.admitted and self._admitted_at is None:
            self._admitted_at = self._opened = now
        for event in progress.events:
            if isinstance(event, Commit | Draft):
                self.canvas = event.canvas
        self._enter(progress.canvases, now)
        self._between = progress.boundary or any(times.ended for times in progress.canvases[-1:])
        self._parked = progress.parked
        self._whole = progress.parked or any(isinstance(event, Finish) for event in progress.events[-1:])

    def end(self, outcome: Outcome, usage: Usage, error: BaseException | None = None) -> None:
        """The run is over; ``usage`` is what the request has used in all. Repeating it changes nothing."""
        if self._ended:
            return
        self._ended = True
        if self._route is not None:
            self._trace.end(self._route, error)
        if self._has_open_canvas(outcome):
            span = self._trace.start(
                names.CANVAS,
                {names.CANVAS_INDEX: self.canvas, names.OUTCOME: outcome},
                parent=self._context,
                at=self._opened,
            )
            self._trace.end(span, error)
        if self._trace.is_recorded:
            told = {names.OUTCOME: outcome, names.REPLICA: self.replica}
            self._generate.set_attributes({**told, **self._latency(), **_used(usage)})
        self._trace.end(self._generate, error)

    def _routed(self, span: Span, progress: Progress) -> None:
        self._route, route = None, progress.route
        self._taken_at = self._trace.clock() if route is None else route.at
        span.set_attribute(names.REPLICA, self.replica)
        if route is not None:
            span.set_attributes({names.POOL: route.pool, names.PREFIX_HIT: route.prefix_hit})
            self._generate.set_attribute(names.POOL, route.pool)
        if route is not None and route.score is not None:
            span.set_attribute(names.ROUTE_SCORE, route.score)
        self._trace.end(span, at=self._taken_at)

    def _enter(self, canvases: tuple[CanvasTimes, ...], now: float) -> None:
        """Canvases that follow each other, the last of which ended now."""
        begun = now - sum(times.prefill + times.seconds for times in canvases)
        for times in canvases:
            if self._trace.is_recorded:
                self._draw(times, begun)
            begun += times.prefill + times.seconds
            self.canvas = times.index + times.ended
            self._opened = now if times.ended else None
            self._prefill += times.prefill
            self._decode += times.seconds

    def _draw(self, times: CanvasTimes, begun: float) -> None:
        """What is spent before the first steps of a run is told apart; later on it is the canvas's own."""
        stepped = begun + times.prefill
        if not self._prefill and not self._decode and times.prefill:
            prefill = self._trace.start(
                names.PREFILL, {names.CANVAS_INDEX: times.index}, parent=self._context, at=begun
            )
            self._trace.end(prefill, at=stepped)
            begun = stepped
        span = self._trace.start(names.CANVAS, _measured(times), parent=self._context, at=begun)
        for step, seconds, committed in times.summaries:
            told = {names.STEP_NUMBER: step, names.COMMITTED_TOKENS: committed}
            span.add_event(names.STEP_SUMMARY, told, nanoseconds(stepped + seconds))
        self._trace.end(span, at=stepped + times.seconds)

    def _latency(self) -> Attributes:
        """Seconds at the replica, until a place in the batch and there. Nothing of a replica that has told nothing."""
        if self._admitted_at is None:
            return {}
        return {
            names.TIME_IN_SCHEDULER: max(0.0, self._admitted_at - self._taken_at),
            names.TIME_IN_PREFILL: self._prefill,
            names.TIME_IN_DECODE: self._decode,
            names.TIME_IN_INFERENCE: self._prefill + self._decode,
        }

    def _has_open_canvas(self, outcome: Outcome) -> bool:
        """Whether the replica was at a canvas of which it has not told, and will not."""
        if self._opened is None or self._whole:
            return False
        return not self._between or outcome in ("failed", "cancelled")


def _used(usage: Usage) -> Attributes:
    """What a request has used, in the words of spans."""
    return {
        names.INPUT_TOKENS: usage.prompt_tokens,
        names.CACHED_TOKENS: usage.cached_tokens,
        names.OUTPUT_TOKENS: usage.completion_tokens,
        names.DENOISE_STEPS: usage.denoising_steps,
        names.FORWARD_PASSES: usage.forward_passes,
        names.PREFILL_FORWARDS: usage.prefill_forwards,
        names.COMMIT_FORWARDS: usage.commit_forwards,
        names.POSITION_FORWARDS: usage.position_forwards,
        names.TOKENS_PER_FORWARD: usage.tokens_per_forward,
    }


def _asked(run: Run, model: str, operation: str) -> Attributes:
    sampling = run.request.sampling
    told: dict[str, AttributeValue] = {
        names.PROVIDER: names.PROVIDER_NAME,
        names.REQUEST_MODEL: model,
        names.RESPONSE_MODEL: model,
        names.EPOCH: run.epoch,
        names.RESUMED_TOKENS: run.committed,
        names.SAMPLER: sampling.algorithm,
        names.THRESHOLD: sampling.threshold,
    }
    told |= {names.OPERATION: operation} if operation else {}
    return told if sampling.max_steps is None else told | {names.MAX_STEPS: sampling.max_steps}


def _measured(times: CanvasTimes) -> Attributes:
    told = {
        names.CANVAS_INDEX: times.index,
        names.CANVAS_LENGTH: times.length,
        names.DENOISE_STEPS: times.steps,
        names.POSITION_FORWARDS: times.position_forwards,
        names.COMMITTED_TOKENS: times.committed,
    }
    return told if times.ended else told | {names.OUTCOME: "parked"}
