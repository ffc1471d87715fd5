"""From committed tokens to final text."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from deployments.gateway.pieces import Hole, Piece
from deployments.gateway.stop import StopFilter
from dllm_worker.text import IncrementalDecoder

if TYPE_CHECKING:
    from dllm_worker.text import Text


@dataclass(frozen=True, slots=True)
class Delta:
    """Final text. ``hole`` is the index of the hole that it fills; pinned text has none."""

    text: str
    hole: int | None


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
        self.written = 0
        self._open_hole()

    @property
    def stopped(self) -> bool:
        return self._filter.stopped

    def write(self, tokens: Sequence[int]) -> list[Delta]:
        """The text that ``tokens``, which follow all earlier ones, make final."""
        deltas: list[Delta] = []
        while self._pieces and not self.stopped:
            piece = self._pieces[0]
            taken, tokens = tokens[: piece.length - self._filled], tokens[piece.length - self._filled :]
            self._filled += len(taken)
            hole = self._hole if isinstance(piece, Hole) else None
            text = self._fill(taken) if isinstance(piece, Hole) else ""
            complete = self._filled == piece.length
            if complete:
                text += self._close()
            deltas.append(Delta(text, hole))
            if not complete:
                break
        return [delta for delta in deltas if delta.text]

    def end(self) -> list[Delta]:
        """The text that was held back, once no more tokens will come."""
        if self.stopped or not self._pieces or not isinstance(self._pieces[0], Hole):
            return []
        delta = Delta(self._flush(), self._hole)
        return [delta] if delta.text else []

    def _open_hole(self) -> None:
        self._decoder, self._filter, self._ended = IncrementalDecoder(self._text), StopFilter(self._stops), False

    def _fill(self, tokens: Sequence[int]) -> str:
        if self._ended:
            return ""
        kept = list(takewhile(lambda token: token not in self._eos, tokens))
        self._ended = len(kept) < len(tokens)
        self.written += len(kept)
        return self._filter.push(self._decoder.push(kept))

    def _flush(self) -> str:
        return self._filter.push(self._decoder.flush()) + self._filter.flush()

    def _close(self) -> str:
        """The rest of the text of the first piece, which makes way for the next."""
        piece = self._pieces.popleft()
        self._filled = 0
        if not isinstance(piece, Hole):
            return piece.text
        text = self._flush()
        if not self.stopped:
            self._hole += 1
            self._open_hole()
        return text
