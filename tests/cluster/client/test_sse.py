from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.client.sse import EventDecoder, ServerSentEvent

WIRE = (
    b': keep-alive\n\nid: 1\ndata: {"a":1}\n\nid: 2\nevent: canvas\ndata: one\ndata: two\n\n: comment\ndata:[DONE]\n\n'
)
EVENTS = [
    ServerSentEvent('{"a":1}', id="1"),
    ServerSentEvent("one\ntwo", id="2", name="canvas"),
    ServerSentEvent("[DONE]"),
]


def decoded(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@given(st.lists(st.integers(0, len(WIRE)), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_events_are_the_same_in_any_pieces_and_with_any_line_end(cuts: list[int], end: bytes) -> None:
    wire = WIRE.replace(b"\n", end)
    edges = [0, *sorted(cuts), len(wire)]
    pieces = [wire[start:stop] for start, stop in pairwise(edges)]
    # A carriage return at the very end may be half of a line end; what follows in a stream says that it is not.
    assert decoded(*pieces, b"data") == EVENTS


@pytest.mark.parametrize("rest", [b"data: half", b"data: half\n", b"id: 3\n\n", b":\n\n"])
def test_what_has_no_data_or_no_end_is_no_event(rest: bytes) -> None:
    assert decoded(WIRE, rest) == EVENTS


def test_a_line_separator_of_unicode_ends_no_line() -> None:
    text = "a\N{LINE SEPARATOR}b\N{NEXT LINE}c"
    assert decoded(f"data: {text}\n\n".encode()) == [ServerSentEvent(text)]


def test_an_id_belongs_to_its_own_event() -> None:
    assert decoded(b"id: 7\ndata: a\n\ndata: b\n\n") == [ServerSentEvent("a", id="7"), ServerSentEvent("b")]
