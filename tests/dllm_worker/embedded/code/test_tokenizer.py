from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from dllm_worker.embedded.code import tokenizer
from dllm_worker.embedded.code.export import CHECKPOINT
from dllm_worker.embedded.code.tokenizer import SPECIAL_TOKENS

WORDS = tokenizer.load(CHECKPOINT)
SNIPPET = "def __init__(self, size=10):\n    self._size = size\n\n    return x.append('ä')\n"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_byte_for_byte(text: str) -> None:
    if not any(special in text for special in SPECIAL_TOKENS):
        assert WORDS.decode(WORDS.encode(text).ids, skip_special_tokens=False) == text


def test_special_tokens_come_first() -> None:
    assert [WORDS.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert WORDS.get_vocab_size() == tokenizer.VOCAB_SIZE


def test_a_line_break_takes_the_indent_and_nothing_else() -> None:
    pieces = [WORDS.decode([token]) for token in WORDS.encode(SNIPPET).ids]
    assert "\n    " in pieces
    assert "\n\n    " in pieces
    assert all(piece.strip() == "" for piece in pieces if "\n" in piece)


def test_digits_are_single() -> None:
    pieces = [WORDS.decode([token]) for token in WORDS.encode("x = 1024").ids]
    assert pieces[-4:] == [" 1", "0", "2", "4"]


def test_a_small_vocabulary_can_be_trained() -> None:
    words = tokenizer.train([SNIPPET * 20], vocab_size=300)
    assert words.decode(words.encode(SNIPPET).ids) == SNIPPET
    assert len(words.encode(SNIPPET).ids) < len(SNIPPET)


@pytest.mark.parametrize(
    ("messages", "rendered"),
    [
        ([("user", "Sort a list.")], "<|bos|><|user|>Sort a list.<|assistant|>"),
        (
            [("system", "Be brief."), ("user", "Hi "), ("assistant", "x = 1\n"), ("user", "More")],
            "<|bos|><|user|>Be brief.\nHi <|assistant|>x = 1\n<|endoftext|><|user|>More<|assistant|>",
        ),
    ],
)
def test_the_chat_template(messages: list[tuple[str, str]], rendered: str) -> None:
    auto = AutoTokenizer.from_pretrained(CHECKPOINT, local_files_only=True)
    conversation = [{"role": role, "content": content} for role, content in messages]
    assert auto.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False) == rendered
