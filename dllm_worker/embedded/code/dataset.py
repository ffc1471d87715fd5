"""Token arrays on disk, and the windows that training draws from them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from dllm_worker.embedded.code.corpus import Document
from dllm_worker.embedded.code.functions import conversation, find_functions
from dllm_worker.embedded.code.tokenizer import BOS, BOS_ID, EOS, EOS_ID

CHAT_SHARE, SNIPPET_SHARE = 0.15, 0.12
_BOS_SHARE = 0.5
_SHORTEST_TASK, _LONGEST_TASK = 48, 480
_LONGEST_SUMMARY = 160
_METHOD_SHARE = 0.4
_LINE_CUT_SHARE = 0.6

Ids = NDArray[np.uint16]
Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files end with ``<|endoftext|>`` and lie end to end in ``tokens``; ``starts`` are the first tokens of lines.

    ``top_level`` says which of these lines are not indented. ``chats`` and ``snippets`` are short whole sequences,
    ``[k]`` of them being ``tokens[offsets[k] : offsets[k + 1]]``; a chat's first ``prompts[k]`` tokens are the prompt.
    """

    tokens: Ids
    starts: Offsets
    top_level: NDArray[np.bool_]
    chats: Ids
    chat_offsets: Offsets
    prompts: Offsets
    snippets: Ids
    snippet_offsets: Offsets

    def window(self, length: int, rng: np.random.Generator) -> Ids:
        """``length`` tokens of one document, filled up with ``<|endoftext|>`` behind its end."""
        kind = rng.random()
        if kind < CHAT_SHARE:
            tokens = _piece(self.chats, self.chat_offsets, rng)
        elif kind < CHAT_SHARE + SNIPPET_SHARE:
            tokens = _piece(self.snippets, self.snippet_offsets, rng)
        else:
            tokens = self._excerpt(length, rng)
        ended = np.full(length, EOS_ID, dtype=np.uint16)
        ended[: len(tokens)] = tokens[:length]
        return ended

    def _excerpt(self, length: int, rng: np.random.Generator) -> Ids:
        line = int(rng.integers(len(self.starts)))
        start = int(self.starts[line])
        tokens = self.tokens[start : start + length]
        ends = np.flatnonzero(tokens == EOS_ID)
        if len(ends):
            tokens = tokens[: ends[0] + 1]
        opens_file = start == 0 or self.tokens[start - 1] == EOS_ID
        if opens_file or (self.top_level[line] and rng.random() < _BOS_SHARE):
            tokens = np.concatenate((np.array([BOS_ID], dtype=np.uint16), tokens))
        return tokens

    def save(self, path: Path) -> None:
        np.savez(path, **{name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Dataset:
        with np.load(path) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def build(documents: Iterable[Document], tokenizer: Tokenizer, characters_per_cut: int = 0) -> Dataset:
    """Encode the files, and draw one chat and one snippet from each documented function of a suitable length.

    About every ``characters_per_cut`` a file is encoded in two pieces, as a request is where its prompt or a pinned
    text ends: there the unit of a line break, or a word, is torn apart. 0 means never.
    """
    files: list[Ids] = []
    chats: list[Ids] = []
    prompts: list[int] = []
    snippets: list[Ids] = []
    for document in documents:
        rng = random.Random(document.path)
        files.append(_encode(tokenizer, *cut(document.text + EOS, characters_per_cut, rng)))
        for function in find_functions(document.text):
            prompt, answer = conversation(function, rng)
            prompt_ids, answer_ids = _encode(tokenizer, prompt), _encode(tokenizer, answer)
            fits = _SHORTEST_TASK <= len(prompt_ids) + len(answer_ids) <= _LONGEST_TASK
            if fits and len(function.summary) <= _LONGEST_SUMMARY:
                if function.kind == "function" or rng.random() < _METHOD_SHARE:
                    chats.append(np.concatenate((prompt_ids, answer_ids)))
                    prompts.append(len(prompt_ids))
                opening = BOS if rng.random() < _BOS_SHARE else ""
                pieces = [function.head, function.body] if characters_per_cut else [function.source]
                snippets.append(_encode(tokenizer, opening, *pieces, EOS))
    tokens = np.concatenate(files)
    starts, top_level = _line_starts(tokens, tokenizer)
    return Dataset(
        tokens=tokens,
        starts=starts,
        top_level=top_level,
        chats=np.concatenate(chats),
        chat_offsets=_offsets(chats),
        prompts=np.array(prompts),
        snippets=np.concatenate(snippets),
        snippet_offsets=_offsets(snippets),
    )


def cut(text: str, characters_per_cut: int, rng: random.Random) -> list[str]:
    """Pieces of ``text``, most of which begin with a line, the others anywhere."""
    if not characters_per_cut:
        return [text]
    at = {0, len(text)}
    for _ in range(len(text) // characters_per_cut):
        position = rng.randrange(len(text) - len(EOS))
        at.add(text.find("\n", position) + 1 if rng.random() < _LINE_CUT_SHARE else position)
    borders = sorted(at)
    return [text[start:stop] for start, stop in pairwise(borders)]


def _encode(tokenizer: Tokenizer, *pieces: str) -> Ids:
    encodings = tokenizer.encode_batch(list(pieces))
    return np.array([token for encoding in encodings for token in encoding.ids], dtype=np.uint16)


def _offsets(pieces: list[Ids]) -> Offsets:
    return np.concatenate(([0], np.cumsum([len(piece) for piece in pieces])))


def _piece(tokens: Ids, offsets: Offsets, rng: np.random.Generator) -> Ids:
    k = int(rng.integers(len(offsets) - 1))
    return tokens[offsets[k] : offsets[k + 1]]


def _line_starts(tokens: Ids, tokenizer: Tokenizer) -> tuple[Offsets, NDArray[np.bool_]]:
    """Indented lines start at their line break, which holds the indent, others behind it; blank and torn ones never."""
    texts = [tokenizer.decode([token], skip_special_tokens=False) for token in range(tokenizer.get_vocab_size())]
    indented = np.array([text.startswith("\n") and text.endswith((" ", "\t")) for text in texts])
    flush = np.array([text.startswith("\n") and text.endswith("\n") for text in texts])
    flush[EOS_ID] = True
    breaks = np.flatnonzero(indented[tokens[:-1]])
    behind = np.flatnonzero(flush[tokens[:-1]]) + 1
    spaced = np.array([text[:1].isspace() for text in texts])
    spaced[EOS_ID] = True
    behind = np.concatenate(([0], behind[~spaced[tokens[behind]]]))
    starts = np.concatenate((breaks, behind))
    top_level = np.concatenate((np.zeros(len(breaks), dtype=bool), np.ones(len(behind), dtype=bool)))
    return starts, top_level
