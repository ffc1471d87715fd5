from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.gateway.stop import StopFilter

LETTERS = st.text("ab", max_size=12)
STOPS = st.lists(st.text("ab", min_size=1, max_size=4), max_size=4)


def run(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    passing = StopFilter(stops)
    text = "".join([passing.push(piece) for piece in pieces])
    return text + passing.flush(), passing.stopped


def test_text_ends_before_the_stop_string() -> None:
    assert run(["END"], ["say ", "EN", "D more"]) == ("say ", True)


def test_what_may_begin_a_stop_string_is_held_back() -> None:
    passing = StopFilter(["END"])
    assert passing.push("say EN") == "say "
    assert passing.push("ough") == "ENough"


def test_held_text_is_answered_when_nothing_follows() -> None:
    assert run(["END"], ["the E"]) == ("the E", False)


def test_the_stop_that_is_complete_first_wins() -> None:
    assert run(["abc", "b"], ["abc"]) == ("a", True)


@given(STOPS, st.lists(LETTERS))
def test_the_cut_into_pieces_does_not_matter(stops: list[str], pieces: list[str]) -> None:
    assert run(stops, pieces) == run(stops, ["".join(pieces)])


@given(STOPS, st.lists(LETTERS))
def test_no_answer_contains_a_stop_string(stops: list[str], pieces: list[str]) -> None:
    text, stopped = run(stops, pieces)
    assert all(stop not in text for stop in stops)
    assert stopped or text == "".join(pieces)
