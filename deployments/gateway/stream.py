"""One answer as a server-sent event stream.

The first chunk goes out when a replica has admitted the request, comments keep the connection alive while nothing
happens, and a failure is told inside the stream, since its status is already on the way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

import anyio
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.gateway import sse
from deployments.gateway.assembler import Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.failures import told
from deployments.gateway.openai import Dialect, Json
from deployments.gateway.writer import Delta

Part = tuple[Output, ...] | None


class ChunkWriter:
    """Numbers the chunks of one answer and writes them in the words of ``dialect``."""

    def __init__(self, dialect: Dialect, *, include_usage: bool) -> None:
        self._dialect, self._include_usage = dialect, include_usage
        self._sequence = 0
        self._opened = False

    def write(self, outputs: Sequence[Output]) -> bytes:
        """The frames of ``outputs``, after the opening frame if they are the first."""
        opening = [] if self._opened else [self._dialect.opening()]
        self._opened = True
        frames = [self._frame(chunk) for chunk in opening]
        frames += [self._frame(chunk) for output in outputs for chunk in self._chunks(output)]
        return b"".join(frames)

    def _chunks(self, output: Output) -> Iterator[Json]:
        match output:
            case Delta():
                yield self._dialect.delta(output)
            case CanvasFrame():
                yield self._dialect.canvas(output, self._sequence + 1)
            case Done():
                yield self._dialect.closing(output)
                if self._include_usage:
                    yield self._dialect.usage(output)

    def _frame(self, chunk: Json) -> bytes:
        self._sequence += 1
        return sse.frame(chunk, self._sequence)


class EventStream(StreamingResponse):
    """Sends ``first`` and what follows it, where ``None`` is a pause. However it ends, the run behind it is closed."""

    def __init__(
        self,
        first: Part,
        rest: AsyncGenerator[Part],
        writer: ChunkWriter,
        request_id: str,
        headers: dict[str, str],
    ) -> None:
        self._rest = rest
        self._bytes = event_bytes(first, rest, writer, request_id)
        super().__init__(self._bytes, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS | headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._bytes.aclose()
                await self._rest.aclose()


async def event_bytes(
    first: Part, rest: AsyncIterator[Part], writer: ChunkWriter, request_id: str
) -> AsyncGenerator[bytes]:
    """The stream. It always ends with ``[DONE]``."""
    try:
        yield _bytes(first, writer)
        async for part in rest:
            yield _bytes(part, writer)
    except Exception as error:
        yield sse.unnumbered(told(error, request_id).envelope(request_id))
    yield sse.DONE


def _bytes(part: Part, writer: ChunkWriter) -> bytes:
    return sse.KEEP_ALIVE if part is None else writer.write(part)
