from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.client.errors import NoReplica, UnexpectedAnswer
from cluster.client.events import CanvasFrame, Event, Finished, Started, TextDelta, Used
from cluster.client.reading import StreamReader
from tests.cluster.client.services import frames

TEXTS = ("Hel", "lo ", "w\N{LATIN SMALL LETTER O WITH DIAERESIS}rld")


def read(*pieces: bytes, reader: StreamReader | None = None) -> list[Event]:
    reader = reader or StreamReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def test_a_stream_is_its_start_its_text_its_end_and_its_usage() -> None:
    started, *deltas, finished, used = read(*frames(*TEXTS))
    assert started == Started("chatcmpl-1", "tiny")
    assert deltas == [TextDelta(text) for text in TEXTS]
    assert finished == Finished("stop")
    assert isinstance(used, Used)
    assert used.usage.diffusion.position_forwards == 96


@given(st.integers(0, 7), st.integers(0, 200))
def test_a_stream_that_is_cut_anywhere_goes_on_without_a_gap_or_a_repetition(kept: int, torn: int) -> None:
    """``kept`` frames came whole, and ``torn`` bytes of the next one; the service sends what is behind the number."""
    wire = frames(*TEXTS)
    reader = StreamReader()
    seen = read(*wire[:kept], *(frame[:torn] for frame in wire[kept : kept + 1] if torn < len(frame)), reader=reader)
    assert reader.last == min(kept, len(wire) - 1)
    reader.connect()
    seen += read(*wire[min(reader.last, kept) :], reader=reader)
    assert seen == read(*wire)
    assert reader.has_ended


def test_a_frame_that_comes_again_is_dropped() -> None:
    wire = frames(*TEXTS)
    assert read(*wire[:3], *wire) == read(*wire)


def test_a_reader_that_begins_behind_a_frame_drops_those_before() -> None:
    wire = frames(*TEXTS)
    found = read(*wire, reader=StreamReader("chatcmpl-1", after=2))
    assert [event for event in found if isinstance(event, TextDelta)] == [TextDelta(text) for text in TEXTS[1:]]


def test_views_of_the_canvas_have_no_number_and_are_never_dropped() -> None:
    seen = {"seq": 1, "block": 0, "step": 2, "max_steps": 8, "masked": 1, "start": 0, "length": 2, "committed_chars": 0}
    snapshot = {**seen, "text": "a\N{LIGHT SHADE}"}
    patch = {**seen, "seq": 2, "edits": [{"pos": 1, "text": "b"}, {"pos": 0, "text": None}]}
    chunks = [
        {"id": "c", "model": "m", "choices": [{"index": 1, "delta": {}, "finish_reason": None}], "diffusion": view}
        for view in (snapshot, patch)
    ]
    found = read(*(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks))
    expected = CanvasFrame(1, 0, 2, 8, 1, 0, 2, 0, text="a\N{LIGHT SHADE}", choice=1)
    assert found[1] == expected
    assert isinstance(found[2], CanvasFrame)
    assert (found[2].text, found[2].edits) == (None, ((1, "b"), (0, None)))


def test_completions_infills_and_late_answers_are_read_too() -> None:
    completion = {"id": "c", "model": "m", "choices": [{"index": 2, "text": "x", "finish_reason": None}]}
    hole = {"id": "c", "model": "m", "delta": "y", "hole": 1, "finish_reason": None}
    late = {"id": "c", "model": "m", "delta": "", "finish_reason": "length", "diffusion": {"finish": "deadline"}}
    found = read(*(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in (completion, hole, late)))
    assert found[1:] == [TextDelta("x", choice=2), TextDelta("y", hole=1), Finished("length", is_late=True)]


def test_a_failure_inside_the_stream_is_raised_behind_what_came_before() -> None:
    error = {"error": {"message": "No.", "code": "no_replica", "param": None}, "request_id": "req_1"}
    reader, found = StreamReader(), []
    with pytest.raises(NoReplica, match="No") as raised:
        found += read(*frames(*TEXTS)[:2], b"data: %b\n\n" % json.dumps(error).encode(), reader=reader)
    assert (raised.value.request_id, raised.value.status) == ("req_1", None)
    assert reader.has_ended


@pytest.mark.parametrize("data", ["{", "5", "[]", "{}", '{"id": "c", "model": "m", "choices": [5]}'])
def test_a_frame_of_something_else_is_unexpected(data: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        read(f"data: {data}\n\n".encode())
