"""A predicted answer, and which part of it comes next after what is written."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_worker.request import Request
from dllm_worker.spec import ModelSpec

NO_GUESS = -1
REACH = 16
"""How many of the tokens written last say where in the guess they stand."""

_UNWRITTEN = -2
_WEIGHTS = torch.tensor([round(1000 * 0.7**age) for age in reversed(range(REACH))])
"""Of an agreement by its age, the oldest first. One changed token weighs less than those before it, and two new ones
that agree elsewhere weigh more than all those before them: the guess is found again two tokens behind an insertion.
"""


@dataclass(frozen=True, slots=True)
class Guess:
    """``tokens`` int64 ``[length]``, the first ``said`` of which are the prediction; behind them stands what ends it.

    They are taken up wherever the answer has come to, so that it may leave some out or have others between them.
    """

    tokens: Tensor
    said: int

    @staticmethod
    def of(request: Request, spec: ModelSpec) -> Guess | None:
        """The request's prediction, ``None`` without one. It ends the sequence where that is what ends the request."""
        if not request.prediction:
            return None
        end = spec.eos_token_ids[:1] if request.sampling.eos != "ignore" else ()
        return Guess(torch.tensor((*request.prediction, *end)), len(request.prediction))

    def place(self, written: Tensor) -> int:
        """How many of its tokens lie behind the last one ``written``: where its last ``REACH`` tokens agree best.

        An agreement counts more the younger it is. Of equal places it is the one nearest to where the guess would be
        if nothing had been left out or inserted, the lower one first.
        """
        recent = torch.full((REACH,), _UNWRITTEN)
        last = written[-REACH:]
        recent[REACH - len(last) :] = last
        windows = torch.cat((torch.full((REACH,), NO_GUESS), self.tokens)).unfold(0, REACH, 1)
        scores = ((windows == recent) * _WEIGHTS).sum(-1)
        candidates = (scores == scores.max()).nonzero().flatten()
        return int(candidates[(candidates - len(written)).abs().argmin()])

    def after(self, written: Tensor, count: int) -> Tensor:
        """The next ``count`` tokens, int64; ``NO_GUESS`` behind its end."""
        found = torch.full((count,), NO_GUESS)
        rest = self.tokens[self.place(written) :][:count]
        found[: len(rest)] = rest
        return found

    def goes_on(self, written: Tensor) -> bool:
        """Whether it stands behind the last token ``written`` with the same token, or nothing is written."""
        if not len(written):
            return True
        place = self.place(written)
        return place > 0 and bool(self.tokens[place - 1] == written[-1])

    def compare(self, written: Tensor, fresh: Tensor) -> tuple[int, int]:
        """How many of the tokens ``fresh`` behind those ``written`` are those of the guess, and how many are others.

        Where one differs, the place is looked for anew; tokens behind the end of the prediction count for neither.
        """
        accepted = rejected = done = 0
        tokens = torch.cat((written, fresh))
        while done < len(fresh):
            place = self.place(tokens[: len(written) + done])
            expected = self.tokens[place : self.said][: len(fresh) - done]
            same = int((fresh[done : done + len(expected)] == expected).int().cumprod(0).sum())
            differs = same < len(expected)
            accepted, rejected = accepted + same, rejected + differs
            if not differs:
                break
            done += same + 1
        return accepted, rejected
