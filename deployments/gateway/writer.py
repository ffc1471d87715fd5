"""From committed tokens to final text, with the probabilities of those tokens where they are wanted."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from deployments.gateway.pieces import Hole, Piece
from deployments.gateway.stop import StopFilter
from dllm_worker.text import IncrementalDecoder

if TYPE_CHECKING:
    from dllm_worker.request import TokenLogprobs
    from dllm_worker.text import Text

_UNLESS_EMPTY = Field(exclude_if=operator.not_)
"""Of the form that a log has of a delta: most have nothing here."""


@dataclass(frozen=True, slots=True)
class TokenChance:
    """A token as text, the natural logarithm of the probability that the step which set it gave it, and the most
    probable tokens of that step. ``offset`` counts the characters of the answer before the token.
    """

    text: str
    logprob: float
    offset: int
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Final text of the ``choice``-th answer. ``hole`` is the index of the hole that it fills; pinned text has none.

    ``chances`` are those of the tokens whose first character lies in it.
    """

    text: str
    hole: int | None
    choice: Annotated[int, _UNLESS_EMPTY] = 0
    chances: Annotated[tuple[TokenChance, ...], _UNLESS_EMPTY] = ()


class Writer:
    """Writes the pieces of one answer, in order, as their tokens are committed.

    Text only grows and is cut at whole Unicode scalars. ``written`` counts the tokens that became text of a hole.
    After a stop string nothing more is written.
    """

    def __init__(self, pieces: Sequence[Piece], stops: Sequence[str], text: Text, eos_token_ids: Sequence[int]) -> None:
        self._pieces = deque(pieces)
        self._stops, self._text, self._eos = tuple(stops), text, frozenset(eos_token_ids)
        self._filled = 0
        self._hole = 0
        self._characters = 0
        self.written = 0
        self._open_hole()

    @property
    def stopped(self) -> bool:
        return self._filling.stopped

    def write(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs | None] = ()) -> list[Delta]:
        """The text that ``tokens``, which follow all earlier ones, make final. ``logprobs`` are theirs, or none."""
        deltas: list[Delta] = []
        while self._pieces and not self.stopped:
            piece, filling = self._pieces[0], self._filling
            room = piece.length - self._filled
            hole = self._hole if isinstance(piece, Hole) else None
            text = self._fill(tokens[:room], logprobs[:room]) if isinstance(piece, Hole) else ""
            self._filled += len(tokens[:room])
            tokens, logprobs = tokens[room:], logprobs[room:]
            complete = self._filled == piece.length
            if complete:
                text += self._close()
            deltas.append(Delta(text, hole, chances=filling.released()))
            if not complete:
                break
        return [delta for delta in deltas if delta.text]

    def end(self) -> list[Delta]:
        """The text that was held back, once no more tokens will come."""
        if self.stopped or not self._pieces or not isinstance(self._pieces[0], Hole):
            return []
        delta = Delta(self._filling.flush(), self._hole, chances=self._filling.released())
        return [delta] if delta.text else []

    def _open_hole(self) -> None:
        self._filling, self._ended = _Filling(self._stops, self._text, self._characters), False

    def _fill(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs | None]) -> str:
        if self._ended:
            return ""
        kept = next((index for index, token in enumerate(tokens) if token in self._eos), len(tokens))
        self._ended = kept < len(tokens)
        self.written += kept
        text = self._filling.push(tokens[:kept], logprobs[:kept])
        self._characters += len(text)
        return text

    def _close(self) -> str:
        """The rest of the text of the first piece, which makes way for the next."""
        piece = self._pieces.popleft()
        self._filled = 0
        text = self._filling.flush() if isinstance(piece, Hole) else piece.text
        self._characters += len(text)
        if isinstance(piece, Hole) and not self.stopped:
            self._hole += 1
        if self._pieces and isinstance(self._pieces[0], Hole) and not self.stopped:
            self._open_hole()
        return text


class _Filling:
    """The text of one hole, which begins ``start`` characters into the answer, and the chances of its tokens."""

    def __init__(self, stops: Sequence[str], text: Text, start: int) -> None:
        self._text, self._decoder, self._filter = text, IncrementalDecoder(text), StopFilter(stops)
        self._decoded = self._told = start
        self._held: deque[TokenChance] = deque()

    @property
    def stopped(self) -> bool:
        return self._filter.stopped

    def push(self, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs | None]) -> str:
        """The text that is certain to be answered."""
        if not logprobs:
            return self._take(self._decoder.push(tokens))
        return "".join(self._push(token, found) for token, found in zip(tokens, logprobs, strict=True))

    def flush(self) -> str:
        """What is still held back, when no more tokens will come."""
        certain, held = self._take(self._decoder.flush()), self._filter.flush()
        self._told += len(held)
        return certain + held

    def released(self) -> tuple[TokenChance, ...]:
        """The chances of the tokens whose text has begun to be told since the last call."""
        released: list[TokenChance] = []
        while self._held and self._held[0].offset < self._told:
            released.append(self._held.popleft())
        return tuple(released)

    def _push(self, token: int, found: TokenLogprobs | None) -> str:
        if found is not None:
            top = tuple((self._text.token_text(other), logprob) for other, logprob in found.top)
            self._held.append(TokenChance(self._text.token_text(token), found.logprob, self._decoded, top))
        return self._take(self._decoder.push([token]))

    def _take(self, text: str) -> str:
        self._decoded += len(text)
        certain = self._filter.push(text)
        self._told += len(certain)
        return certain
