from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.guess import NO_GUESS, Guess
from dllm_worker.request import Request, SamplingParameters
from tests.dllm_worker.test_capabilities import ABSORBING

SPEC = replace(ABSORBING, vocab_size=100, eos_token_ids=(99, 98))
TEXT = tuple(range(10, 50))


def guess(*tokens: int, eos: bool = True) -> Guess:
    sampling = SamplingParameters(eos="prefix" if eos else "ignore")
    found = Guess.of(Request("a", prediction=tokens, sampling=sampling), SPEC)
    assert found is not None
    return found


def following(tokens: tuple[int, ...], written: tuple[int, ...], count: int = 3) -> list[int]:
    return guess(*tokens).after(torch.tensor(written, dtype=torch.int64), count).tolist()


def test_without_a_prediction_there_is_no_guess() -> None:
    assert Guess.of(Request("a"), SPEC) is None


def test_it_begins_with_the_answer_and_ends_the_sequence_where_that_counts() -> None:
    assert following(TEXT[:2], ()) == [10, 11, 99]
    assert following(TEXT[:2], (10, 11)) == [99, NO_GUESS, NO_GUESS]
    assert guess(*TEXT[:2], eos=False).after(torch.tensor((10,)), 2).tolist() == [11, NO_GUESS]


def test_a_changed_token_loses_nothing() -> None:
    assert following(TEXT, (*TEXT[:9], 77)) == list(TEXT[10:13])
    assert following(TEXT, (*TEXT[:9], TEXT[30])) == list(TEXT[10:13])
    assert following(TEXT, (77,)) == list(TEXT[1:4])


def test_it_is_found_again_two_tokens_behind_an_insertion() -> None:
    written = (*TEXT[:12], 70, 71, 72, 73, 74, *TEXT[12:14])
    assert following(TEXT, written) == list(TEXT[14:17])


def test_it_is_found_again_two_tokens_behind_what_was_left_out() -> None:
    assert following(TEXT, (*TEXT[:12], *TEXT[25:27])) == list(TEXT[27:30])


def test_of_equal_places_the_one_where_it_would_lie_is_taken() -> None:
    line = (1, 2, 3, 4)
    assert guess(*line * 6).place(torch.tensor(line * 4)) == 16
    assert guess(*line * 6).place(torch.tensor((7, 7))) == 2


def test_it_goes_on_only_behind_its_own_token() -> None:
    assert guess(*TEXT).goes_on(torch.tensor([], dtype=torch.int64))
    assert guess(*TEXT).goes_on(torch.tensor(TEXT[:5]))
    assert not guess(*TEXT).goes_on(torch.tensor((*TEXT[:5], 77)))


def test_tokens_are_counted_where_it_says_something() -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    assert guess(*TEXT[:3]).compare(nothing, torch.tensor(TEXT[:5])) == (3, 0)
    assert guess(*TEXT).compare(nothing, torch.tensor((*TEXT[:3], 77, *TEXT[4:8]))) == (7, 1)
    assert guess(*TEXT).compare(torch.tensor(TEXT[:4]), torch.tensor((77, 78))) == (0, 2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.lists(st.integers(0, 5), max_size=40))
def test_every_place_lies_within_it(tokens: list[int], written: list[int]) -> None:
    found, before = guess(*tokens), torch.tensor(written, dtype=torch.int64)
    assert 0 <= found.place(before) <= len(tokens) + 1
    assert len(found.after(before, 7)) == 7
    accepted, rejected = found.compare(before, torch.tensor(written, dtype=torch.int64))
    assert accepted + rejected <= len(written)


@given(st.lists(st.integers(0, 90), min_size=1, max_size=40, unique=True), st.integers(0, 40))
def test_an_answer_that_is_the_guess_is_accepted_whole(tokens: list[int], cut: int) -> None:
    before, fresh = tokens[:cut], tokens[cut:]
    found = guess(*tokens).compare(torch.tensor(before, dtype=torch.int64), torch.tensor(fresh, dtype=torch.int64))
    assert found == (len(fresh), 0)
