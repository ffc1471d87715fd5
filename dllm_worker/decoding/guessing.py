"""What a predicted answer is to a canvas: its start, its draft, or a second voice for what the model proposes.

The guess settles no token by itself. A position that agrees with it gets the model's own proposal, a canvas that starts
from it keeps only what the model proposes there too, and a draft is read by the model as any other is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dllm_worker.canvas import Canvas, is_seeded
from dllm_worker.capabilities import PREDICTION
from dllm_worker.decoding.turns import View
from dllm_worker.guess import NO_GUESS
from dllm_worker.running import Running


def agreeing(view: View, proposal: Tensor) -> Tensor:
    """Where the ``proposal [canvas.length]`` is what the guess says, bool ``[canvas.length]``.

    The guess is taken up behind the tokens before the first mask, anew in each step.
    """
    run, canvas = view.run, view.canvas
    agreed = torch.zeros(canvas.length, dtype=torch.bool)
    if run.guess is None:
        return agreed
    first = run.sequence.first_mask(run.canvas.start, run.canvases[-1].end)
    if first < canvas.end:
        positions = view.positions[view.positions >= first]
        expected = run.guess.after(run.written(first), canvas.end - first)[positions - first]
        agreed[positions - canvas.start] = proposal[positions - canvas.start] == expected
    return agreed


def tested(view: View, changed: Tensor) -> tuple[Tensor, Tensor]:
    """Of a canvas that starts from the guess, in its first step: where it is confirmed, and where it is not.

    Bool ``[canvas.length]``; ``changed`` are the settled positions whose proposal is another token.
    """
    standing = torch.zeros(view.canvas.length, dtype=torch.bool)
    if _is_to_test(view):
        standing[view.cells] = ~view.run.sequence.masked[view.positions]
        standing[0] &= not is_seeded(view.run.request, view.run.spec)
    return standing & ~changed, standing & changed


def _is_to_test(view: View) -> bool:
    return view.canvas.seeded > 0 and PREDICTION[view.run.request.sampling.algorithm] == "start"


def draft(run: Running) -> None:
    """Behind the first token of a fresh canvas put what is predicted, for the next pass to check."""
    canvas = run.canvas
    if run.guess is None or PREDICTION[run.request.sampling.algorithm] != "draft" or not _is_fresh(run, canvas):
        return
    begin = canvas.start + 1
    written = run.written(begin)
    if run.guess.goes_on(written):
        expected = run.guess.after(written, canvas.end - begin)
        run.sequence.accept(begin, expected != NO_GUESS, expected)
        canvas.seeded = int((expected != NO_GUESS).sum())


def _is_fresh(run: Running, canvas: Canvas) -> bool:
    """Whether its first token, and nothing else of it, is known."""
    known = not bool(run.sequence.masked[canvas.start])
    return known and canvas.step == 0 and run.sequence.masks(canvas.start, canvas.end) == canvas.length - 1
