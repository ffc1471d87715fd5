"""The checker finds each kind of broken promise, and nothing where none is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.history import Answer, Fault, Frame, Reading, Story, extra_work, faults, percentile, recovery, tally

PIECES = st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=8)


def frames_of(pieces: list[str]) -> tuple[Frame, ...]:
    """An opening frame, the pieces, a closing frame; one second after the other."""
    texts = ["", *pieces, ""]
    last = len(texts)
    return tuple(Frame(float(at), at, text, "stop" if at == last else None) for at, text in enumerate(texts, 1))


def told(pieces: list[str], *readings: Reading) -> Story:
    return Story("r", readings, Answer("".join(pieces), "stop", 100), "id", 110)


def kinds(story: Story) -> set[str]:
    return {fault.kind for fault in faults(story)}


@given(PIECES, st.data())
def test_a_stream_that_was_cut_and_resumed_is_whole(pieces: list[str], data: st.DataObject) -> None:
    frames = frames_of(pieces)
    seen = data.draw(st.integers(0, len(frames)))
    after = data.draw(st.integers(0, seen))
    canvas = Frame(0.5)
    story = told(
        pieces, Reading(0, 200, (canvas, *frames[:seen])), Reading(5, 200, frames[after:], after=after, whole=True)
    )
    assert faults(story) == ()


@given(PIECES, st.data())
def test_a_missing_frame_is_seen(pieces: list[str], data: st.DataObject) -> None:
    frames = frames_of(pieces)
    gap = data.draw(st.integers(0, len(frames) - 2))
    story = told(pieces, Reading(0, 200, frames[:gap] + frames[gap + 1 :], whole=True))
    assert "numbering" in kinds(story)


@given(PIECES, st.data())
def test_a_repeated_frame_is_seen(pieces: list[str], data: st.DataObject) -> None:
    frames = frames_of(pieces)
    twice = data.draw(st.integers(0, len(frames) - 2))
    story = told(pieces, Reading(0, 200, frames[: twice + 1] + frames[twice:], whole=True))
    assert "repeated" in kinds(story)


@given(PIECES, st.data())
def test_text_that_differs_from_the_undisturbed_run_is_seen(pieces: list[str], data: st.DataObject) -> None:
    frames = list(frames_of(pieces))
    place = data.draw(st.integers(1, len(pieces)))
    frames[place] = replace(frames[place], text=frames[place].text + "!")
    assert kinds(told(pieces, Reading(0, 200, tuple(frames), whole=True))) == {"different"}


@given(PIECES, st.data())
def test_two_readers_who_saw_different_text_are_seen(pieces: list[str], data: st.DataObject) -> None:
    frames = list(frames_of(pieces))
    place = data.draw(st.integers(1, len(pieces)))
    other = [*frames]
    other[place] = replace(frames[place], text=frames[place].text + "!")
    first, second = (Reading(0, 200, tuple(seen), whole=True) for seen in (frames, other))
    assert kinds(told(pieces, first, second)) == {"disagreement"}


@given(PIECES, st.integers(1))
def test_an_answer_that_nobody_saw_end_is_lost(pieces: list[str], seen: int) -> None:
    frames = frames_of(pieces)[:-1]
    assert kinds(told(pieces, Reading(0, 200, frames[:seen]))) == {"lost"}


def test_frames_that_no_reading_has_are_lost() -> None:
    frames = frames_of(["a", "b", "c"])
    story = told(["a", "b", "c"], Reading(0, 200, frames[:1]), Reading(1, 200, frames[3:], after=3, whole=True))
    assert kinds(story) == {"lost"}


@pytest.mark.parametrize(("status", "kind"), [(404, "lost"), (500, "lost"), (503, "refused"), (429, "refused")])
def test_a_refusal_is_a_loss_unless_it_asks_to_come_again(status: int, kind: str) -> None:
    found = faults(told(["a"], Reading(0, status, (Frame(1, error="no_replica"),))))
    assert [(fault.kind, fault.detail) for fault in found] == [(kind, f"answered with {status} no_replica")]


def test_an_error_in_the_stream_is_a_loss() -> None:
    broken = (*frames_of(["a"])[:2], Frame(3, error="replica_lost"))
    assert faults(told(["a"], Reading(0, 200, broken, whole=True))) == (Fault("r", "lost", "replica_lost"),)


def test_a_stream_that_its_server_ends_early_has_no_terminal_event() -> None:
    assert "terminal" in kinds(told(["a"], Reading(0, 200, frames_of(["a"])[:2], whole=True)))


@pytest.mark.parametrize("extra", [Frame(9, 5, finish="stop"), Frame(9, 5, "more"), Frame(9, error="internal_error")])
def test_an_end_is_the_only_one_and_the_last(extra: Frame) -> None:
    assert "terminal" in kinds(told(["a", "b"], Reading(0, 200, (*frames_of(["a", "b"]), extra), whole=True)))


def test_another_reason_to_end_is_different() -> None:
    frames = (*frames_of(["a"])[:-1], Frame(3, 3, finish="length"))
    assert kinds(told(["a"], Reading(0, 200, frames, whole=True))) == {"different"}


def test_recovery_is_the_time_to_the_next_text_of_another_run() -> None:
    story = told(["a", "b"], Reading(0, 200, frames_of(["a", "b"]), whole=True))
    assert recovery(story, 1.75, [0.0, 2.25]) == 1.25, "the text of second 2 was under way"
    assert recovery(story, 3.0, [0.0, 3.5]) == 1.0, "the end counts as text"
    assert recovery(story, 3.0, [0.0]) is None
    assert recovery(story, 3.0, [0.0, 4.5]) is None


def test_extra_work_is_a_share_of_the_undisturbed_work() -> None:
    story = told(["a"], Reading(0, 200))
    assert extra_work([story, replace(story, position_forwards=130)]) == pytest.approx(0.2)
    assert extra_work([replace(story, position_forwards=None)]) == 0.0


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.99)] == [1.0, 2.0, 3.0]


def test_faults_are_counted_by_request() -> None:
    found = [Fault("a", "lost", ""), Fault("a", "lost", ""), Fault("b", "repeated", "")]
    assert tally(found) == {"lost": 1, "repeated": 1}
