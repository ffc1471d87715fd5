"""The network of tiny-sudoku as it is trained: dense batches of whole boards, and a loss after every loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.embedded.sudoku.solver import CELLS
from dllm_worker.embedded.sudoku.vocabulary import MASK_ID, VOCABULARY
from dllm_worker.models.embedded import EmbeddedConfig, EmbeddedDenoiser

CONFIG = EmbeddedConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=128,
    intermediate_size=344,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=4,
    head_dim=32,
    max_position_embeddings=CELLS,
    num_layer_repeats=3,
    position_embedding_type="learned",
    tie_word_embeddings=False,
)
_EMBEDDING_SPREAD = 0.5
_IGNORED = -100


class CellPositions(nn.Embedding):
    """The embedding of a cell is the sum of its row's, its column's and its box's, 27 vectors in all."""

    units: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(27, width)
        nn.init.normal_(self.weight, std=_EMBEDDING_SPREAD)
        row, column = torch.arange(CELLS) // 9, torch.arange(CELLS) % 9
        units = torch.stack((row, 9 + column, 18 + 3 * (row // 3) + column // 3))
        self.register_buffer("units", units, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        return self.weight[self.units[:, positions]].sum(0)


def untrained(seed: int) -> EmbeddedDenoiser:
    """Random weights, with :class:`CellPositions` in the place of the table of positions."""
    torch.manual_seed(seed)
    model = EmbeddedDenoiser(CONFIG)
    nn.init.normal_(model.embed_tokens.weight, std=_EMBEDDING_SPREAD)
    model.embed_positions = CellPositions(CONFIG.hidden_size)
    return model


def fold_positions(model: EmbeddedDenoiser) -> None:
    """Replace :class:`CellPositions` by the table of 81 rows that a checkpoint stores."""
    table = model.embed_positions(torch.arange(CELLS)).detach()
    model.embed_positions = nn.Embedding(CELLS, model.config.hidden_size, _weight=table)


def attend_within_boards(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Full attention among the 81 rows of each board; every tensor is ``[boards * 81, heads, dim]``.

    Written out, because a compiled product of matrices beats the fused kernel at this size on a CPU.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    query, key, value = (rows.view(-1, CELLS, *rows.shape[1:]).transpose(1, 2) for rows in (query, key, value))
    weights = ((query * scale) @ key.transpose(2, 3)).softmax(-1)
    attended: Tensor = weights.to(value.dtype) @ value
    return attended.transpose(1, 2).flatten(0, 1)


Loop = Callable[[Tensor], tuple[Tensor, Tensor]]
"""``residual [rows, hidden] -> (residual after all layers, logits [rows, vocab])``."""


def loop_of(model: EmbeddedDenoiser) -> Loop:
    """One run through the layers, and what the head makes of it."""

    def loop(x: Tensor) -> tuple[Tensor, Tensor]:
        for layer, block in enumerate(model.layers):
            x = block(layer, x, None, attend_within_boards)
        return x, model.lm_head(model.norm(x))

    return loop


def deep_loss(model: EmbeddedDenoiser, loop: Loop, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the masked cells and all loops; boards are int64 ``[boards, 81]``.

    Each loop is asked for the whole answer (deep supervision), so what it cannot know yet, the next ones add.
    """
    positions = torch.arange(CELLS, device=tokens.device).repeat(len(tokens))
    labels = torch.where(tokens == MASK_ID, targets, _IGNORED).flatten()
    x = model.embed_tokens(tokens.flatten()) + model.embed_positions(positions)
    losses = []
    for _ in range(model.config.num_layer_repeats):
        x, logits = loop(x)
        losses.append(functional.cross_entropy(logits.float(), labels, ignore_index=_IGNORED))
    return torch.stack(losses).mean()
