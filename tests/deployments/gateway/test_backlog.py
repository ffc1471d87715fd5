from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from deployments.gateway import sse
from deployments.gateway.backlog import Backlog, canvas_block
from deployments.gateway.canvas import CanvasFrame

LENGTH = 6
EVERYTHING = 1 << 30


def text_frame(number: int, text: str) -> bytes:
    return sse.frame({"choices": [{"text": text}], "usage": None}, number)


def canvas_frame(view: CanvasFrame, sequence: int = 1) -> bytes:
    return sse.unnumbered({"choices": [{"text": ""}], "usage": None, "diffusion": view.as_json(sequence)})


def patch(block: int, step: int, *edits: tuple[int, str | None], chars: int = 0) -> CanvasFrame:
    return CanvasFrame(block, step, None, 0, block * LENGTH, LENGTH, chars, edits=edits)


def snapshot(block: int, step: int, text: str) -> CanvasFrame:
    return CanvasFrame(block, step, None, 0, block * LENGTH, LENGTH, 0, text=text)


def test_what_is_taken_in_time_is_byte_for_byte_what_was_pushed() -> None:
    backlog = Backlog()
    frames = [text_frame(1, "a"), canvas_frame(patch(0, 1, (0, "x"))), canvas_frame(patch(0, 2, (1, "y"))), sse.DONE]
    for frame in frames:
        backlog.push(frame)
        assert backlog.take(EVERYTHING) == frame
    assert not backlog


def test_patches_of_a_canvas_become_one_in_which_the_later_edit_wins() -> None:
    backlog = Backlog()
    backlog.push(canvas_frame(patch(0, 1, (3, "x"), (1, "a")), 1))
    backlog.push(text_frame(1, "hi"))
    backlog.push(canvas_frame(patch(0, 2, (3, None), (2, "b"), chars=2), 2))
    merged = canvas_frame(patch(0, 2, (1, "a"), (2, "b"), (3, None), chars=2), 2)
    assert backlog.take(EVERYTHING) == text_frame(1, "hi") + merged


def test_the_latest_snapshot_takes_the_place_of_earlier_ones() -> None:
    backlog = Backlog()
    latest = canvas_frame(snapshot(0, 2, "abcdef"), 2)
    backlog.push(canvas_frame(snapshot(0, 1, "abc___"), 1) + latest)
    assert backlog.take(EVERYTHING) == latest


def test_an_event_line_stays() -> None:
    backlog = Backlog()
    head = b"event: response.dllm.canvas\n"
    backlog.push(head + canvas_frame(patch(0, 1, (0, "x"))) + head + canvas_frame(patch(0, 2, (1, "y"))))
    assert backlog.take(EVERYTHING) == head + canvas_frame(patch(0, 2, (0, "x"), (1, "y")))


def test_text_that_looks_like_a_canvas_is_text() -> None:
    look = canvas_frame(patch(0, 1, (0, "x"))).decode()
    assert canvas_block(sse.unnumbered({"error": {"message": look}})) is None
    assert canvas_block(b"id: 1\n" + look.encode()) is None
    assert canvas_block(look.encode()) == b"0.0"


def test_canvases_of_two_choices_are_two() -> None:
    backlog = Backlog()
    views = [
        sse.unnumbered({"choices": [{"index": index, "text": ""}], "diffusion": patch(0, 1, (0, text)).as_json(1)})
        for index, text in enumerate("xy")
    ]
    backlog.push(b"".join(views))
    assert backlog.take(EVERYTHING) == b"".join(views)


def test_comments_are_for_readers_who_get_nothing_else() -> None:
    backlog = Backlog()
    for frame in (sse.KEEP_ALIVE, sse.KEEP_ALIVE, text_frame(1, "a"), sse.KEEP_ALIVE):
        backlog.push(frame)
    assert backlog.take(EVERYTHING) == sse.KEEP_ALIVE + text_frame(1, "a")


def test_bytes_of_another_make_are_kept_as_they_are() -> None:
    backlog = Backlog()
    pieces = [b"data: one\r\n\r\n", b"data: t", b"wo\n\nda", b"", b"ta\n\n"]
    for piece in pieces:
        backlog.push(piece)
    assert backlog.take(EVERYTHING) == b"".join(pieces)


def test_whole_frames_are_taken_until_there_are_enough_bytes() -> None:
    backlog = Backlog()
    frames = [text_frame(number, "abc") for number in (1, 2, 3)]
    backlog.push(b"".join(frames))
    assert backlog.take(len(frames[0]) + 1) == frames[0] + frames[1]
    assert backlog.take(1) == frames[2]
    assert backlog.take(1) == b""


@dataclass
class Board:
    """What a client keeps: a canvas that begins inside an earlier one takes the place of all from its start on."""

    looks: dict[int, str | None] = field(default_factory=dict)
    text: str = ""
    starts: dict[int, int] = field(default_factory=dict)
    sequence: int = 0

    def apply(self, wire: bytes) -> None:
        for frame in wire.split(b"\n\n")[:-1]:
            chunk = json.loads(frame.partition(b"data: ")[2])
            self.text += chunk["choices"][0]["text"]
            if "diffusion" in chunk:
                self._show(chunk["diffusion"])

    def _show(self, view: dict[str, object]) -> None:
        block, start, sequence = view["block"], view["start"], view["seq"]
        assert isinstance(block, int)
        assert isinstance(start, int)
        assert isinstance(sequence, int)
        assert view["committed_chars"] == len(self.text)
        assert sequence > self.sequence
        self.sequence = sequence
        earlier = [first for number, first in self.starts.items() if number < block]
        if block not in self.starts and any(first <= start < first + LENGTH for first in earlier):
            self.looks = {position: look for position, look in self.looks.items() if position < start}
        self.starts[block] = start
        if view.get("text") is not None:
            self.looks |= {start + offset: look for offset, look in enumerate(str(view["text"]))}
        else:
            edits = view["edits"]
            assert isinstance(edits, list)
            self.looks |= {edit["pos"]: edit["text"] for edit in edits}


LOOKS = st.sampled_from(["a", "b", "c", None])
ACTIONS = st.one_of(
    st.tuples(st.just("draft"), st.integers(0, 1), st.dictionaries(st.integers(0, LENGTH - 1), LOOKS)),
    st.tuples(st.just("open"), st.booleans(), st.integers(1, LENGTH)),
    st.tuples(st.just("commit"), st.text("xyz", min_size=1, max_size=3), st.none()),
    st.tuples(st.just("take"), st.integers(1, 600), st.none()),
)


def played(actions: list[tuple[str, object, object]], *, snapshots: bool) -> Iterator[bytes | int]:
    """Frames as a gateway writes them, and sizes that are taken in between.

    One or two canvases are open, one behind the other; the next begins behind them or inside the last.
    """
    open_blocks, looks = [(0, 0)], {(0, offset): None for offset in range(LENGTH)}
    numbers, sequence, chars, blocks = 0, 0, 0, 1
    for kind, first, second in actions:
        match kind, first, second:
            case "commit", str(text), _:
                numbers, chars = numbers + 1, chars + len(text)
                yield text_frame(numbers, text)
            case "take", int(size), _:
                yield size
            case "open", bool(keeps), int(offset):
                last = open_blocks[-1][1]
                start = last + (LENGTH if keeps else offset)
                open_blocks = [*open_blocks[-1:], (blocks, start)] if start == last + LENGTH else [(blocks, start)]
                looks |= {(blocks, place): None for place in range(LENGTH)}
                blocks += 1
            case "draft", int(which), dict(edits):
                block, start = open_blocks[which % len(open_blocks)]
                looks |= {(block, offset): look for offset, look in edits.items()}
                sequence += 1
                shown = "".join(looks[block, offset] or "_" for offset in range(LENGTH))
                patched = tuple((start + offset, look) for offset, look in edits.items())
                yield canvas_frame(
                    CanvasFrame(
                        block,
                        sequence,
                        None,
                        0,
                        start,
                        LENGTH,
                        chars,
                        edits=None if snapshots else patched,
                        text=shown if snapshots else None,
                    ),
                    sequence,
                )


@given(st.lists(ACTIONS, max_size=40), st.booleans())
def test_a_slow_reader_gets_all_text_and_the_right_canvas(
    actions: list[tuple[str, object, object]], snapshots: bool
) -> None:
    backlog, slow, prompt = Backlog(), Board(), Board()
    untaken_text, blocks = 0, set[bytes]()
    for event in played(actions, snapshots=snapshots):
        if isinstance(event, bytes):
            backlog.push(event)
            prompt.apply(event)
            block = canvas_block(event)
            untaken_text += block is None
            blocks |= {block} if block is not None else set()
            assert len(backlog) <= untaken_text + len(blocks)
        else:
            taken = backlog.take(event)
            untaken_text -= taken.count(b"id: ")
            slow.apply(taken)
            assert prompt.text.startswith(slow.text)
    slow.apply(backlog.take(EVERYTHING))
    assert (slow.text, slow.looks) == (prompt.text, prompt.looks)
