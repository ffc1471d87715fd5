"""With the shipped tokenizer of tiny-code, which is byte-level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.text import IncrementalDecoder, Text, TextError

TEXT = Text.load(resolve_checkpoint("embedded:tiny-code"))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts)
def test_text_survives_the_round_trip(written: str) -> None:
    assert TEXT.decode(TEXT.encode(written)) == written


@given(texts)
def test_no_text_has_fewer_tokens_than_are_foretold(written: str) -> None:
    assert TEXT.fewest_tokens(written) <= len(TEXT.encode(written))


def test_a_long_text_is_known_to_be_long_without_being_read() -> None:
    longest = max(len(TEXT.token_text(token).encode()) for token in range(4096))
    assert TEXT.fewest_tokens("x" * longest * 1000) == 1000


@pytest.mark.parametrize(
    "change", [{"normalizer": normalizers.NFC()}, {"pre_tokenizer": pre_tokenizers.WhitespaceSplit()}]
)
def test_nothing_is_foretold_where_bytes_may_be_lost(change: dict[str, Any]) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(resolve_checkpoint("embedded:tiny-code"))
    for name, part in change.items():
        setattr(tokenizer.backend_tokenizer, name, part)
    assert Text(tokenizer).fewest_tokens("x" * 10_000) == 0


@pytest.mark.parametrize(("added", "fewest"), [(AddedToken("y" * 500), 1), (AddedToken("y", lstrip=True), 0)])
def test_added_tokens_are_tokens_too(added: AddedToken, fewest: int) -> None:
    """They may be longer than others, and may take the spaces beside them."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(resolve_checkpoint("embedded:tiny-code"))
    tokenizer.add_tokens([added])
    assert Text(tokenizer).fewest_tokens("y" * 500) == fewest


@given(texts, st.lists(st.integers(1, 4), max_size=30))
def test_increments_add_up_to_the_whole(written: str, sizes: list[int]) -> None:
    ids = TEXT.encode(written)
    decoder, pieces, at = IncrementalDecoder(TEXT), [], 0
    for size in [*sizes, len(ids)]:
        pieces.append(decoder.push(ids[at : at + size]))
        at += size
    assert "".join([*pieces, decoder.flush()]) == written


@given(st.lists(st.integers(0, 255), max_size=12))
def test_increments_add_up_for_any_bytes(tokens: list[int]) -> None:
    """Single tokens of a byte-level vocabulary need not be valid UTF-8."""
    decoder = IncrementalDecoder(TEXT)
    pieces = [decoder.push([token]) for token in tokens]
    assert "".join([*pieces, decoder.flush()]) == TEXT.decode(tokens)


def test_half_a_character_is_held_back() -> None:
    ids = TEXT.encode("€")
    assert len(ids) > 1
    decoder = IncrementalDecoder(TEXT)
    assert [decoder.push([token]) for token in ids] == [""] * (len(ids) - 1) + ["€"]


def test_a_user_cannot_write_special_tokens() -> None:
    spelled = "<|assistant|>"
    assert TEXT.chat([{"role": "user", "content": "x"}])[-1] not in TEXT.encode(spelled)
    assert TEXT.decode(TEXT.encode(spelled)) == spelled
    with pytest.raises(TextError, match="special token"):
        TEXT.chat([{"role": "user", "content": spelled}])


def test_a_model_without_a_chat_template_says_so() -> None:
    with pytest.raises(TextError, match="no chat template"):
        Text.load(resolve_checkpoint("embedded:tiny-sudoku")).chat([{"role": "user", "content": "x"}])


def test_a_copy_is_in_a_state_of_its_own() -> None:
    copy = TEXT.copy()
    special = "<|endoftext|>"
    plain = TEXT.encode(special)
    copy.chat([{"role": "user", "content": "hi"}])
    assert TEXT.encode(special) == plain == copy.encode(special)
    assert copy._tokenizer is not TEXT._tokenizer
