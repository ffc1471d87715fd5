"""The bytes of a server-sent event stream (html.spec.whatwg.org, section 9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.gateway.ascii_json import ascii_json

MEDIA_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
KEEP_ALIVE = b": keep-alive\n"
"""Without a blank line: behind a frame with an ``id`` some clients take that for an event without data."""

DONE = b"data: [DONE]\n\n"


def frame(data: Mapping[str, Any], sequence: int, event: str | None = None) -> bytes:
    """One event: its sequence number, its name if it has one, one line of JSON, a blank line."""
    return b"id: %d\n%b" % (sequence, unnumbered(data, event))


def unnumbered(data: Mapping[str, Any], event: str | None = None) -> bytes:
    """One event outside the sequence: a view of the canvas, or an error."""
    name = b"" if event is None else b"event: %b\n" % event.encode("ascii")
    return b"%bdata: %b\n\n" % (name, ascii_json(data))
