"""Eleven tokens: the digits, the mask and the end of a text. A board of 81 digits is 81 tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models

from dllm_worker.embedded.sudoku.solver import CELLS, Grid

MASK, EOS = "<|mask|>", "<|endoftext|>"
VOCABULARY = (*"123456789", MASK, EOS)
MASK_ID, EOS_ID = VOCABULARY.index(MASK), VOCABULARY.index(EOS)


def template_of(givens: Grid) -> tuple[int | None, ...]:
    """A request's template: the ids of the givens, pinned, and ``None`` for each hole."""
    return tuple(digit - 1 if digit else None for digit in givens)


def grid_of(ids: Iterable[int]) -> Grid:
    """The digits that the ids of a filled board stand for."""
    return tuple(token + 1 for token in ids)


def board_tokenizer(vocabulary: Sequence[str] = VOCABULARY) -> Tokenizer:
    """One token a digit, joined without spaces; characters outside the vocabulary, such as line breaks, are dropped."""
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (MASK, EOS)])
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and the ``tokenizer_config.json`` by which transformers loads it."""
    board_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CELLS,
        "eos_token": EOS,
        "pad_token": EOS,
        "mask_token": MASK,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
