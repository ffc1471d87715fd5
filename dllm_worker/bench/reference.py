"""The plain loop that the engine is compared with: one request at a time, as a published decoder would run it.

The canvas is computed anew in every step against a cache of concatenated keys and values; positions are accepted
above a confidence threshold, and at least one (Fast-dLLM, arXiv 2505.22618). It shares the network with the engine
and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.models.loading import LoadedModel
from dllm_worker.models.rows import Rows


class GrowingCache:
    """Keys and values of one sequence, layer by layer; with ``stores`` those of the rows being computed join them."""

    def __init__(self) -> None:
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.stores = False

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        keys, values = self._joined(self.keys, layer, key), self._joined(self.values, layer, value)
        looked = functional.scaled_dot_product_attention(
            query.transpose(0, 1)[None],
            keys.transpose(0, 1)[None],
            values.transpose(0, 1)[None],
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return looked[0].transpose(0, 1)

    def _joined(self, planes: dict[int, Tensor], layer: int, rows: Tensor) -> Tensor:
        joined = torch.cat((planes[layer], rows)) if layer in planes else rows
        if self.stores:
            planes[layer] = joined
        return joined


@torch.inference_mode()
def continue_prompt(model: LoadedModel, prompt: Sequence[int], max_tokens: int, threshold: float) -> list[int]:
    """``max_tokens`` tokens after ``prompt`` by a block-causal masked model whose grid begins at position 0."""
    length, mask, cache = model.spec.canvas_length, model.spec.mask_token_id, GrowingCache()
    tokens = torch.tensor([*prompt, *[mask] * max_tokens], device=model.device)
    for start in range(0, len(tokens), length):
        canvas = tokens[start : start + length]
        positions = torch.arange(start, start + len(canvas), device=model.device)
        masked = positions >= len(prompt)
        while bool(masked.any()):
            confidence, best = _predict(model, model.denoiser(Rows(canvas, positions), cache))
            confidence = confidence.where(masked, -1.0)
            accepted = masked & ((confidence >= threshold) | (confidence == confidence.max()))
            canvas[accepted] = best[accepted]
            masked &= ~accepted
        cache.stores = True
        model.denoiser(Rows(canvas, positions), cache)
        cache.stores = False
    answer: list[int] = tokens[len(prompt) :].tolist()
    return answer


def _predict(model: LoadedModel, hidden: Tensor) -> tuple[Tensor, Tensor]:
    logits = model.denoiser.head.logits(hidden)
    logits[:, model.suppressed] = -torch.inf
    return logits.softmax(-1).max(-1)
