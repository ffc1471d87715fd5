"""One answer as a server-sent event stream.

A frame of committed text has a number, which depends on the answer alone: whoever writes the stream again numbers it
alike, so a reader who was cut off can ask for what follows the last number that it has seen. A view of the canvas has
none. Comments keep the connection alive while nothing happens, and a failure is told inside the stream, since its
status is already on the way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.errors import ServingError
from deployments.gateway import sse
from deployments.gateway.assembler import Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.failures import told
from deployments.gateway.openai import Dialect, Json
from deployments.gateway.pacing import to_its_end
from deployments.gateway.writer import Delta
from deployments.telemetry.observation import Observation

Part = tuple[Output, ...] | None


class StreamWriter(ABC):
    """Writes the outputs of one answer as frames, numbered from ``first`` on; those up to ``after`` are left out."""

    def __init__(self, first: int, after: int | None = None) -> None:
        self._next, self._after = first, first - 1 if after is None else after
        self._views = 0
        self._opened = False

    def begin(self) -> bytes:
        """What is told before a replica has admitted the request."""
        return b""

    def write(self, outputs: Sequence[Output]) -> bytes:
        """The frames of ``outputs``, after the opening frames if they are the first."""
        frames = [self._open()]
        for output in outputs:
            if isinstance(output, CanvasFrame):
                self._views += 1
                frames.append(self._view(output, self._views))
            else:
                frames += (self._number(chunk) for chunk in self._chunks(output))
        return b"".join(frames)

    def fail(self, error: ServingError, request_id: str) -> bytes:
        """The end of a stream that failed."""
        return self._open() + sse.unnumbered(error.envelope(request_id))

    def end(self) -> bytes:
        """What follows the last frame."""
        return b""

    @abstractmethod
    def _opening(self) -> Iterator[Json]:
        """The chunks that say that a replica has admitted the request."""

    @abstractmethod
    def _chunks(self, output: Delta | Done) -> Iterator[Json]:
        """The chunks of a part of the answer."""

    @abstractmethod
    def _frame(self, chunk: Json, sequence: int) -> bytes:
        """The frame with that number."""

    @abstractmethod
    def _view(self, frame: CanvasFrame, sequence: int) -> bytes:
        """The frame of a view of the canvas, the ``sequence``-th of this stream."""

    def _open(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        return b"".join(self._number(chunk) for chunk in self._opening())

    def _number(self, chunk: Json) -> bytes:
        sequence, self._next = self._next, self._next + 1
        return self._frame(chunk, sequence) if sequence > self._after else b""


class ChunkWriter(StreamWriter):
    """Writes chunks of ``choices`` answers in the words of ``dialect``; the first one has number 1."""

    def __init__(self, dialect: Dialect, *, include_usage: bool, after: int | None = None, choices: int = 1) -> None:
        super().__init__(1, after)
        self._dialect, self._include_usage, self._choices = dialect, include_usage, choices
        self._ended: list[Done] = []

    def end(self) -> bytes:
        return sse.DONE

    def _opening(self) -> Iterator[Json]:
        for choice in range(self._choices):
            yield self._dialect.opening(choice)

    def _chunks(self, output: Delta | Done) -> Iterator[Json]:
        match output:
            case Delta():
                yield self._dialect.delta(output)
            case Done():
                yield self._dialect.closing(output)
                self._ended.append(output)
                if self._include_usage and len(self._ended) == self._choices:
                    yield self._dialect.usage(sorted(self._ended, key=lambda done: done.choice))

    def _frame(self, chunk: Json, sequence: int) -> bytes:
        return sse.frame(chunk, sequence)

    def _view(self, frame: CanvasFrame, sequence: int) -> bytes:
        return sse.unnumbered(self._dialect.canvas(frame, sequence))


class EventStream(StreamingResponse):
    """Sends ``begun`` and what ``parts`` bring, where ``None`` is a pause. However it ends, ``parts`` are closed."""

    def __init__(
        self,
        begun: bytes,
        parts: AsyncGenerator[Part],
        writer: StreamWriter,
        request_id: str,
        headers: Mapping[str, str],
        seen: Observation,
    ) -> None:
        self._parts = parts
        self._bytes = event_bytes(begun, parts, writer, request_id, seen)
        super().__init__(self._bytes, media_type=sse.MEDIA_TYPE, headers={**sse.HEADERS, **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await to_its_end(self._close())

    async def _close(self) -> None:
        await self._bytes.aclose()
        await self._parts.aclose()


async def event_bytes(
    begun: bytes, parts: AsyncIterator[Part], writer: StreamWriter, request_id: str, seen: Observation
) -> AsyncGenerator[bytes]:
    """The stream behind ``begun``. It always ends as its writer ends streams; an error in it is entered in ``seen``."""
    try:
        if begun:
            yield begun
        async for part in parts:
            if frames := part_bytes(part, writer):
                yield frames
    except Exception as error:
        failure = told(error, request_id)
        seen.failure = failure.code
        yield writer.fail(failure, request_id)
    if end := writer.end():
        yield end


def part_bytes(part: Part, writer: StreamWriter) -> bytes:
    """The frames of a part, or the comment for a pause."""
    return sse.KEEP_ALIVE if part is None else writer.write(part)
