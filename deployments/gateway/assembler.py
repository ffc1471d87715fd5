"""From the events of an engine to the parts of an answer.

A pure state machine: what it puts out depends on the events alone, not on how they were grouped on their way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from deployments.errors import NoReplica
from deployments.gateway.canvas import CanvasFrame, CanvasView
from deployments.gateway.plan import Plan
from deployments.gateway.writer import Delta, Writer
from dllm_worker.request import Commit, Draft, Event, Finish, Request, Usage

if TYPE_CHECKING:
    from dllm_worker.spec import ModelSpec
    from dllm_worker.text import Text


EndReason = Literal["stop", "length", "deadline"]


@dataclass(frozen=True, slots=True)
class Done:
    """The end of the ``choice``-th answer. ``work`` is the engine's account; after a stop string it may count tokens
    beyond it.

    An answer whose ``reason`` is ``deadline`` has the best that there was of its last canvas.
    """

    reason: EndReason
    prompt_tokens: int
    completion_tokens: int
    work: Usage
    choice: int = 0


Output = Delta | CanvasFrame | Done


class Assembler:
    """Assembles one answer. :class:`Done` is its last output, after which it takes no more events."""

    def __init__(self, plan: Plan, text: Text, spec: ModelSpec) -> None:
        self._prompt_tokens = len(plan.request.prompt)
        self._writer = Writer(plan.pieces, plan.stops, text, _ends(plan.request, spec))
        self._view = CanvasView(plan.watch, plan.request, text, spec) if plan.watch else None
        self._characters = 0
        self.done = False

    def push(self, events: Iterable[Event]) -> tuple[Output, ...]:
        """The parts of the answer that ``events`` bring, in order."""
        return tuple(output for event in events for output in self._take(event))

    def _take(self, event: Event) -> Iterator[Output]:
        if self.done:
            return
        match event:
            case Draft():
                frame = self._view.frame(event, self._characters) if self._view else None
                if frame is not None:
                    yield frame
            case Commit():
                yield from self._emit(self._writer.write(event.tokens, event.logprobs))
                if self._writer.stopped:
                    yield self._end("stop", self._writer.written, event.usage)
            case Finish():
                yield from self._emit(self._writer.end())
                yield self._finish(event)

    def _emit(self, deltas: list[Delta]) -> Iterator[Delta]:
        self._characters += sum(len(delta.text) for delta in deltas)
        yield from deltas

    def _finish(self, event: Finish) -> Done:
        """The stop string may also complete in the last text. An abort is not the client's: the replica gave up."""
        if event.reason == "abort":
            raise NoReplica("The replica gave the request up before it was finished.")
        reason: EndReason = "stop" if self._writer.stopped else event.reason
        return self._end(reason, event.usage.completion_tokens, event.usage)

    def _end(self, reason: EndReason, completion_tokens: int, work: Usage) -> Done:
        self.done = True
        return Done(reason, self._prompt_tokens, completion_tokens, work)


def _ends(request: Request, spec: ModelSpec) -> tuple[int, ...]:
    """The tokens that end a hole; an answer whose client ignores them goes on."""
    return () if request.template is None and request.sampling.eos == "ignore" else spec.eos_token_ids
