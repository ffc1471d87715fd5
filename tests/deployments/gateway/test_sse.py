from __future__ import annotations

from openai._streaming import SSEDecoder

from deployments.gateway import sse


def test_a_frame_is_its_number_one_line_and_a_blank_line() -> None:
    assert sse.frame({"a": 1, "b": None}, 42) == b'id: 42\ndata: {"a":1,"b":null}\n\n'


def test_an_event_may_have_a_name() -> None:
    assert sse.frame({"a": 1}, 0, "e") == b'id: 0\nevent: e\ndata: {"a":1}\n\n'
    assert sse.unnumbered({"a": 1}, "e") == b'event: e\ndata: {"a":1}\n\n'


def test_no_character_of_a_text_ends_a_line() -> None:
    text = "\n\r\x0b\x0c\x1c\x85\u2028\u2029"
    data = sse.unnumbered({"t": text})
    assert len(data.decode().splitlines()) == 2


def test_comments_and_the_end() -> None:
    assert sse.KEEP_ALIVE == b": keep-alive\n"
    assert sse.DONE == b"data: [DONE]\n\n"


def test_a_comment_between_frames_is_no_event_to_the_client_library() -> None:
    wire = sse.frame({"a": 1}, 1) + sse.KEEP_ALIVE + sse.KEEP_ALIVE + sse.frame({"a": 2}, 2) + sse.KEEP_ALIVE + sse.DONE
    events = SSEDecoder().iter_bytes(iter([wire]))
    assert [event.data for event in events] == ['{"a":1}', '{"a":2}', "[DONE]"]
