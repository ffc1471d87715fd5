"""What a checkpoint is: the facts that samplers, cache and API are checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Corruption = Literal["absorbing", "uniform"]
ContextAttention = Literal["bidirectional", "block_causal", "causal"]
CanvasAnchor = Literal["zero", "prompt"]


class SpecError(ValueError):
    """A configuration states something that cannot be served; the message names the field."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Static facts of one checkpoint, derived from its ``config.json`` and validated at load.

    ``canvas_length`` is the default number of positions of a canvas and ``max_canvas_length`` the
    largest one the weights were trained for. With ``canvas_anchor="zero"`` canvases start at
    multiples of ``canvas_length`` counted from position 0, with ``"prompt"`` at the prompt's end.
    ``suppressed_token_ids`` are never proposed (the mask, unused rows of the vocabulary).
    """

    family: str
    vocab_size: int
    corruption: Corruption
    mask_token_id: int
    eos_token_ids: tuple[int, ...]
    suppressed_token_ids: tuple[int, ...]
    canvas_length: int
    max_canvas_length: int
    canvas_anchor: CanvasAnchor
    context_attention: ContextAttention
    max_position: int
    logit_shift: int = 0
    self_conditioning: bool = False
    exact_cache: bool = True

    def __post_init__(self) -> None:
        if self.vocab_size <= 0:
            raise SpecError("vocab_size must be positive")
        if not 0 <= self.mask_token_id < self.vocab_size:
            raise SpecError(f"mask_token_id {self.mask_token_id} is outside the vocabulary of {self.vocab_size}")
        outside = [i for i in (*self.eos_token_ids, *self.suppressed_token_ids) if not 0 <= i < self.vocab_size]
        if outside:
            raise SpecError(f"token ids {outside} are outside the vocabulary of {self.vocab_size}")
        if not 1 <= self.canvas_length <= self.max_canvas_length <= self.max_position:
            raise SpecError(
                f"canvas_length {self.canvas_length} <= max_canvas_length {self.max_canvas_length} "
                f"<= max_position {self.max_position} does not hold"
            )
