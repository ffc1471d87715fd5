"""The frame of every family here: embedding, pre-norm blocks, a norm, an output embedding.

A family is a way to build one, and a :data:`Layout` that says under which names its checkpoints store it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dllm_worker.cache.pages import CacheShape
from dllm_worker.models.blocks import Attend, Block, RMSNorm, rotary_frequencies


@dataclass(frozen=True, slots=True)
class Rotary:
    """RoPE over the first ``width`` dimensions of a head."""

    width: int
    theta: float

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine, fp32 ``[rows, width / 2]``."""
        angles = positions[:, None].float() * rotary_frequencies(self.width, self.theta, positions.device)
        return angles.cos(), angles.sin()


class Transformer(nn.Module):
    """Rows in, hidden rows out; ``output_embedding`` turns those into logits.

    Positions are either those of ``rotary`` or rows of ``position_table``. The blocks are run ``repeats`` times with
    the same weights (looped transformer, arXiv 2311.12424); they may come from a generator, so that a seed draws the
    embedding first.
    """

    embed_positions: nn.Module

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        blocks: Iterable[Block],
        eps: float,
        *,
        tied: bool,
        rotary: Rotary | None = None,
        position_table: nn.Module | None = None,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        self.tied, self.rotary = tied, rotary
        self.embed_tokens = nn.Embedding(vocab_size, hidden_size)
        if position_table is not None:
            self.embed_positions = position_table
        stack = list(blocks)
        self.layers = nn.ModuleList(stack)
        self.depth = repeats * len(stack)
        self.cache_shape = CacheShape(self.depth, stack[0].self_attn.kv_heads, stack[0].self_attn.head_dim)
        self.norm = RMSNorm(hidden_size, eps)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Let input and output embedding be one tensor again, where the configuration says so."""
        if self.tied:
            self.lm_head.weight = self.embed_tokens.weight

    @property
    def output_embedding(self) -> Tensor:
        """``[vocab, hidden]``."""
        return self.lm_head.weight

    def forward(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """``token_ids`` and ``positions`` are int64 ``[rows]``; the result ``[rows, hidden]`` is normed."""
        x: Tensor = self.embed_tokens(token_ids)
        if self.rotary is None:
            x, rotation = x + self.embed_positions(positions), None
        else:
            rotation = self.rotary.angles(positions)
        for layer in range(self.depth):
            x = self.layers[layer % len(self.layers)](layer, x, rotation, attend)
        normed: Tensor = self.norm(x)
        return normed


Layout = Mapping[str, str | tuple[str, ...]]
"""From each parameter to the stored tensor that it is, or the several that are fused in it.

``{layer}`` is the number of a block. A stored name with ``{expert}`` stands for one tensor per expert, which the
parameter stacks along its first dimension.
"""


@dataclass(frozen=True, slots=True)
class Family:
    """``build`` makes the network of a ``config.json``, without its weights; ``layout`` says where they are stored."""

    build: Callable[[Mapping[str, Any]], Transformer]
    layout: Layout
