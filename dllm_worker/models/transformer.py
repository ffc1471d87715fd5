"""The frame of every family here: embedding, layers, a norm, an output embedding.

A family is a way to build one, and a :data:`Layout` that says under which names its checkpoints store it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dllm_worker.cache.shape import CacheShape
from dllm_worker.models.blocks import Attend, Layer, RMSNorm
from dllm_worker.models.head import Head
from dllm_worker.models.rotary import Rotary
from dllm_worker.models.rows import Rows


class Network(nn.Module, ABC):
    """Rows in, hidden rows out; ``head`` turns those into logits.

    The layers are run ``repeats`` times with the same weights (looped transformer, arXiv 2311.12424); they may come
    from a generator, so that a seed draws the embedding first. ``tied`` says whether input and output embedding are
    one tensor. Where products are to have one number of rows, it is ``row_tile``.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        layers: Iterable[Layer],
        eps: float,
        *,
        tied: bool,
        repeats: int = 1,
    ) -> None:
        super().__init__()
        self.tied = tied
        self.row_tile: int | None = None
        self.embed_tokens = nn.Embedding(vocab_size, hidden_size)
        stack = list(layers)
        self.layers = nn.ModuleList(stack)
        self.depth = repeats * len(stack)
        self.cache_shape: CacheShape = tuple(layer.cache_shape for layer in stack) * repeats
        self.norm = RMSNorm(hidden_size, eps)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        self.tie_weights()

    def tie_weights(self) -> None:
        """Let input and output embedding be one tensor again, where the configuration says so."""
        if self.tied:
            self.lm_head.weight = self.embed_tokens.weight

    @property
    def head(self) -> Head:
        return Head(self.lm_head.weight, tile=self.row_tile)

    @property
    def input_embedding(self) -> Tensor:
        """``[vocab, hidden]``."""
        return self.embed_tokens.weight

    @abstractmethod
    def forward(self, rows: Rows, attend: Attend) -> Tensor:
        """The result ``[rows, hidden]`` is normed."""


class Transformer(Network):
    """Pre-norm blocks, whose positions are either those of ``rotary`` or rows of ``position_table``."""

    embed_positions: nn.Module

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        blocks: Iterable[Layer],
        eps: float,
        *,
        tied: bool,
        rotary: Rotary | None = None,
        position_table: nn.Module | None = None,
        repeats: int = 1,
    ) -> None:
        super().__init__(vocab_size, hidden_size, blocks, eps, tied=tied, repeats=repeats)
        self.rotary = rotary
        if position_table is not None:
            self.embed_positions = position_table

    def forward(self, rows: Rows, attend: Attend) -> Tensor:
        x: Tensor = self.embed_tokens(rows.token_ids)
        if self.rotary is None:
            x, rotation = x + self.embed_positions(rows.positions), None
        else:
            rotation = self.rotary.rotation(rows.positions).to(x.dtype)
        for layer in range(self.depth):
            x = self.layers[layer % len(self.layers)](layer, x, rotation, attend)
        normed: Tensor = self.norm(x)
        return normed


Layout = Mapping[str, str | tuple[str, ...]]
"""From each parameter to the stored tensor that it is, or the several that are fused in it.

``{layer}`` is the number of a layer. A stored name with ``{expert}`` stands for one tensor per expert, which the
parameter stacks along its first dimension.
"""


@dataclass(frozen=True, slots=True)
class Family:
    """``build`` makes the network of a ``config.json``, without its weights; ``layout`` says where they are stored.

    ``unused`` are beginnings of the names of tensors which the published checkpoints hold for tasks besides text.
    """

    build: Callable[[Mapping[str, Any]], Network]
    layout: Layout
    unused: tuple[str, ...] = ()
