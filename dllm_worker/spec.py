"""What a checkpoint is: the facts that samplers, cache and API are checked against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Corruption = Literal["absorbing", "uniform"]
ContextAttention = Literal["bidirectional", "block_causal", "causal"]
CanvasAnchor = Literal["zero", "prompt"]


class SpecError(ValueError):
    """A configuration states something that cannot be served; the message names the field."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a family's published decoder takes for granted where others do otherwise.

    ``confidence``: of the model's own distribution, or of the one that is left after temperature, top-k and top-p.
    ``quota``: a step's share is one of the masks that the canvas opened with, or of all its positions.
    ``strict_threshold``: a probability equal to the threshold is not above it.
    ``greedy_seed``: the token that opens a canvas is the most probable one at every temperature.
    ``nucleus_first``: top-p measures its mass over all tokens, not over those that top-k leaves.
    ``end_time``: where the times of the ``dream`` schedule end, which begin at 1 (Dream's ``eps``).
    """

    confidence: Literal["model", "proposal"] = "model"
    quota: Literal["masks", "canvas"] = "masks"
    strict_threshold: bool = False
    greedy_seed: bool = False
    nucleus_first: bool = False
    end_time: float = 1e-3


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Static facts of one checkpoint, derived from its ``config.json`` and validated at load.

    ``canvas_length`` is the default number of positions of a canvas and ``max_canvas_length`` the
    largest one the weights were trained for. With ``canvas_anchor="zero"`` canvases start at
    multiples of ``canvas_length`` counted from position 0, with ``"prompt"`` at the prompt's end.
    ``context_attention`` is how committed tokens see each other and ``other_attentions`` what the weights were
    trained for besides. With ``prompt_block`` the prompt of a block-causal model is one block.
    ``logit_shift`` 1 means that the row before a position predicts it. With ``next_token`` the pass that writes
    committed tokens into the cache predicts the token after them, which opens the next canvas.
    ``sub_canvas_length`` is the part of a canvas that is denoised at a time.
    ``suppressed_token_ids`` are never proposed (the mask, unused rows of the vocabulary); a model of uniform
    corruption has no mask.
    """

    family: str
    vocab_size: int
    corruption: Corruption
    mask_token_id: int | None
    eos_token_ids: tuple[int, ...]
    suppressed_token_ids: tuple[int, ...]
    canvas_length: int
    max_canvas_length: int
    canvas_anchor: CanvasAnchor
    context_attention: ContextAttention
    max_position: int
    other_attentions: tuple[ContextAttention, ...] = ()
    prompt_block: bool = False
    sub_canvas_length: int | None = None
    logit_shift: Literal[0, 1] = 0
    next_token: bool = False
    self_conditioning: bool = False
    conventions: Conventions = field(default_factory=Conventions)

    def __post_init__(self) -> None:
        if self.vocab_size <= 0:
            raise SpecError("vocab_size must be positive")
        if (self.mask_token_id is None) != (self.corruption == "uniform"):
            raise SpecError(f"mask_token_id is {self.mask_token_id} with {self.corruption} corruption")
        if self.mask_token_id is not None and not 0 <= self.mask_token_id < self.vocab_size:
            raise SpecError(f"mask_token_id {self.mask_token_id} is outside the vocabulary of {self.vocab_size}")
        outside = [i for i in (*self.eos_token_ids, *self.suppressed_token_ids) if not 0 <= i < self.vocab_size]
        if outside:
            raise SpecError(f"token ids {outside} are outside the vocabulary of {self.vocab_size}")
        if not 1 <= self.canvas_length <= self.max_canvas_length <= self.max_position:
            raise SpecError(
                f"canvas_length {self.canvas_length} <= max_canvas_length {self.max_canvas_length} "
                f"<= max_position {self.max_position} does not hold"
            )
