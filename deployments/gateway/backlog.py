"""What the reader of an event stream has not taken yet.

Frames of text are kept, all of them and in order. Of each canvas at most one frame is kept, which shows what all those
of that canvas show that were not taken: so a reader that falls behind sees fewer steps, and what it sees is right.

Only the bytes are looked at, so this stands wherever a stream passes. A canvas frame has no number (no ``id`` line) and
a ``diffusion`` object that begins with ``seq`` and ``block``, as :class:`deployments.gateway.canvas.CanvasFrame` writes
it. No frame of a canvas follows that of another one which takes its place.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from deployments.gateway.ascii_json import ascii_json
from deployments.gateway.sse import KEEP_ALIVE

END_OF_FRAME = b"\n\n"
DATA = b"data: "
BLOCK = re.compile(rb'(?:"index":(\d+),.*)?"diffusion":\{"seq":\d+,"block":(\d+),')


class Backlog:
    """Frames in the order in which they are to be taken; a canvas frame stands where the last one merged into it came.

    It is true as long as it holds something. ``merged`` counts the frames that went into others.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[bytes | int, bytes] = OrderedDict()
        self._pushed = 0
        self.merged = 0

    def __len__(self) -> int:
        return len(self._held)

    def push(self, body: bytes) -> None:
        """Add whole frames. Bytes that do not end as a frame does are kept as they are."""
        for frame in _frames(body):
            self._hold(frame)

    def take(self, size: int) -> bytes:
        """Remove the first frames, the least number of them that has ``size`` bytes together."""
        taken: list[bytes] = []
        while self._held and size > 0:
            frame = self._held.popitem(last=False)[1]
            taken.append(frame)
            size -= len(frame)
        return b"".join(taken)

    def clear(self) -> None:
        """Hold nothing."""
        self._held.clear()

    def _hold(self, frame: bytes) -> None:
        if frame == KEEP_ALIVE and self._held:
            return
        block = canvas_block(frame)
        if block is None:
            self._pushed += 1
            self._held[self._pushed] = frame
            return
        earlier = self._held.pop(block, None)
        self.merged += earlier is not None
        self._held[block] = frame if earlier is None else merge(earlier, frame)


def canvas_block(frame: bytes) -> bytes | None:
    """The number of the canvas that ``frame`` shows, behind that of its choice; ``None`` for any other frame."""
    if frame.startswith(b"id:"):
        return None
    found = BLOCK.search(frame)
    return found and b"%b.%b" % (found[1] or b"0", found[2])


def merge(earlier: bytes, later: bytes) -> bytes:
    """One frame in place of two of a canvas that follow each other: the later one, with the edits of both."""
    chunk = _chunk(later)
    view = chunk["diffusion"]
    if "edits" not in view:
        return later
    edits = {edit["pos"]: edit for edit in (*_chunk(earlier)["diffusion"]["edits"], *view["edits"])}
    view["edits"] = [edits[position] for position in sorted(edits)]
    return later.partition(DATA)[0] + DATA + ascii_json(chunk) + END_OF_FRAME


def _frames(body: bytes) -> Sequence[bytes]:
    if not body.endswith(END_OF_FRAME):
        return [body] if body else []
    return [frame + END_OF_FRAME for frame in body.split(END_OF_FRAME)[:-1]]


def _chunk(frame: bytes) -> dict[str, Any]:
    chunk: dict[str, Any] = json.loads(frame.partition(DATA)[2])
    return chunk
