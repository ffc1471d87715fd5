"""Server-sent events from the bytes of a stream (html.spec.whatwg.org, section 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. ``id`` is that of the event itself: an earlier one is not carried on."""

    data: str
    id: str | None = None
    name: str | None = None


class EventDecoder:
    """Takes the bytes in any pieces. An event that is cut off before its blank line is none."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._id: str | None = None
        self._name: str | None = None

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """The events that end in ``piece``."""
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        for line in lines:
            if line:
                self._take(line.decode(errors="replace"))
            else:
                yield from self._end()

    def _take(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case "event":
                self._name = value

    def _end(self) -> Iterator[ServerSentEvent]:
        if self._data:
            yield ServerSentEvent("\n".join(self._data), self._id, self._name)
        self._data, self._id, self._name = [], None, None
