"""The stream of a response: named events, numbered from 0 on, of which the last one holds the whole response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deployments.errors import RequestCancelled, ServingError
from deployments.gateway import sse
from deployments.gateway.assembler import Done
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.openai import Json
from deployments.gateway.responses.response import ended_status, text_part
from deployments.gateway.stream import StreamWriter
from deployments.gateway.writer import Delta

if TYPE_CHECKING:
    from deployments.gateway.responses.response import ResponseShape

OUTPUT = {"output_index": 0}
CONTENT = {"output_index": 0, "content_index": 0}


class EventWriter(StreamWriter):
    """Writes the events of one response. One in the background exists before a replica has admitted it.

    A cancelled response ends with ``response.incomplete`` and the status ``cancelled``: the event types of the API
    have no other name for it.
    """

    def __init__(self, shape: ResponseShape, after: int | None = None) -> None:
        super().__init__(0, after)
        self._shape = shape
        self._text: str | None = None

    def begin(self) -> bytes:
        if not self._shape.is_background:
            return b""
        queued = self._shape.pending("queued")
        return self._number(_of("created", queued)) + self._number(_of("queued", queued))

    def fail(self, error: ServingError, request_id: str) -> bytes:
        name = "incomplete" if isinstance(error, RequestCancelled) else "failed"
        return self._open() + self._number(_of(name, self._shape.broken(self._text, error)))

    def _opening(self) -> Iterator[Json]:
        started = self._shape.pending("in_progress")
        if not self._shape.is_background:
            yield _of("created", started)
        yield _of("in_progress", started)

    def _chunks(self, output: Delta | Done) -> Iterator[Json]:
        if self._text is None:
            yield from self._add_item()
        match output:
            case Delta():
                self._text = f"{self._text or ''}{output.text}"
                yield self._of_text("output_text.delta", {"delta": output.text, "logprobs": []})
            case Done():
                yield from self._complete(self._text or "", output)

    def _add_item(self) -> Iterator[Json]:
        self._text = ""
        item = self._shape.item(None, "in_progress")
        yield {"type": "response.output_item.added", **OUTPUT, "item": item}
        yield self._of_text("content_part.added", {"part": text_part("")})

    def _complete(self, text: str, done: Done) -> Iterator[Json]:
        status = ended_status(done)
        yield self._of_text("output_text.done", {"text": text, "logprobs": []})
        yield self._of_text("content_part.done", {"part": text_part(text)})
        yield {"type": "response.output_item.done", **OUTPUT, "item": self._shape.item(text, status)}
        yield _of(status, self._shape.ended(text, done))

    def _frame(self, chunk: Json, sequence: int) -> bytes:
        kind: str = chunk["type"]
        return sse.frame({"type": kind, "sequence_number": sequence, **chunk}, sequence, kind)

    def _view(self, frame: CanvasFrame, sequence: int) -> bytes:
        chunk = self._of_text("dllm.canvas", {"diffusion": frame.as_json(sequence)})
        return sse.unnumbered(chunk, chunk["type"])

    def _of_text(self, name: str, content: Json) -> Json:
        return {"type": f"response.{name}", "item_id": self._shape.item_id, **CONTENT, **content}


def _of(name: str, response: Json) -> Json:
    return {"type": f"response.{name}", "response": response}
