"""A stream as it comes in, over as many connections as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import ValidationError

from cluster.client.errors import UnexpectedAnswer, error_of
from cluster.client.events import Event, Started, events_of
from cluster.client.sse import EventDecoder, ServerSentEvent

END = "[DONE]"


class StreamReader:
    """Turns the bytes of one answer's stream into events, each once.

    Frames of text are numbered by the service; one that comes again on a later connection is dropped. ``answer_id`` is
    known from the first frame on at the latest, ``last`` is the number of the last one, and ``has_ended`` says that
    nothing follows.
    """

    def __init__(self, answer_id: str | None = None, after: int = 0) -> None:
        self.answer_id = answer_id
        self.last = after
        self.has_ended = False
        self._has_started = False
        self._decoder = EventDecoder()

    def connect(self) -> None:
        """Forget the half of a frame on which the last connection was cut."""
        self._decoder = EventDecoder()

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in ``piece``. Raises :class:`ApiError` for what the service tells inside the stream."""
        for frame in self._decoder.feed(piece):
            if frame.data == END:
                self.has_ended = True
            elif self._is_new(frame):
                yield from self._read(frame.data)

    def _is_new(self, frame: ServerSentEvent) -> bool:
        if frame.id is None:
            return True
        number = int(frame.id) if frame.id.isdecimal() else 0
        is_new, self.last = number > self.last, max(number, self.last)
        return is_new

    def _read(self, data: str) -> Iterator[Event]:
        try:
            chunk = json.loads(data)
            if "error" in chunk:
                self.has_ended = True
                raise error_of(chunk)
            if not self._has_started:
                self._has_started, self.answer_id = True, chunk["id"]
                yield Started(chunk["id"], chunk["model"])
            yield from events_of(chunk)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
            raise UnexpectedAnswer("A frame of the stream is not one of this API.") from error
