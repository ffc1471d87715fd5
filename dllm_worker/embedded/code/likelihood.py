"""How well the network predicts held-out text, computed densely: cross-entropies, bits per byte, denoising."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from dllm_worker.embedded.code.attention import attention_bias, batch_rows, dense_attend
from dllm_worker.embedded.code.corruption import Batch, BatchPlan, Flags, Noise, Tokens, corrupt
from dllm_worker.embedded.code.dataset import Dataset
from dllm_worker.embedded.code.tokenizer import EOS_ID, SUPPRESSED_IDS
from dllm_worker.models.loading import LoadedModel
from dllm_worker.spec import ContextAttention

LOWEST_RATE = 0.02
_SEQUENCES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class HeldOutText:
    """Full windows without special tokens, and how many bytes of UTF-8 each token stands for."""

    windows: Tokens
    token_bytes: NDArray[np.int64]

    @property
    def bytes(self) -> int:
        return int(self.token_bytes[self.windows].sum())


def draw_text(dataset: Dataset, tokenizer: Tokenizer, count: int, length: int, seed: int) -> HeldOutText:
    """``count`` windows that start at lines drawn at random and lie inside one file."""
    rng = np.random.default_rng(seed)
    windows: list[Tokens] = []
    while len(windows) < count:
        start = int(dataset.starts[rng.integers(len(dataset.starts))])
        window = dataset.tokens[start : start + length].astype(np.int64)
        if len(window) == length and EOS_ID not in window:
            windows.append(window)
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return HeldOutText(np.stack(windows), np.array([len(piece) for piece, _ in pieces]))


def masked_cross_entropy(model: LoadedModel, text: HeldOutText, rate: float, seed: int) -> float:
    """Nats per masked token, every token being masked with probability ``rate``, under bidirectional attention."""
    rng = np.random.default_rng(seed)
    holes = rng.random(text.windows.shape) < rate
    return float(target_losses(model, _plan(text, "bidirectional", 0), text.windows, "mask", holes, rng).mean())


def bits_per_byte(model: LoadedModel, text: HeldOutText, attention: ContextAttention, block: int, seed: int) -> float:
    """The negative evidence lower bound of masked diffusion (MDLM, arXiv 2406.07524) in bits per byte of text.

    Each canvas has its own mask rate ``t``, stratified over ``(LOWEST_RATE, 1]``, and its masked cross-entropies weigh
    ``1 / t``. With canvases of one position this is the exact autoregressive likelihood.
    """
    rng = np.random.default_rng(seed)
    count, length = text.windows.shape
    canvas = block or length
    canvases = count * (length // canvas)
    if canvas == 1:
        rates = np.ones(canvases)
    else:
        strata = rng.permutation(canvases) + rng.random(canvases)
        rates = LOWEST_RATE + (1.0 - LOWEST_RATE) * strata / canvases
    per_token = rates.reshape(count, -1).repeat(canvas, axis=1)
    holes = rng.random(text.windows.shape) < per_token
    losses = target_losses(model, _plan(text, attention, block), text.windows, "mask", holes, rng)
    weighted = losses * torch.from_numpy(1.0 / per_token[holes])
    return float(weighted.sum()) / math.log(2.0) / text.bytes


def restored_share(model: LoadedModel, text: HeldOutText, rate: float, seed: int) -> tuple[float, float]:
    """Of the tokens replaced by random ones, and of those left alone, the share whose most likely token is right."""
    rng = np.random.default_rng(seed)
    replaced = rng.random(text.windows.shape) < rate
    plan = _plan(text, "bidirectional", 0, "uniform")
    noised, targets = corrupt(rng, "uniform", text.windows, np.ones_like(replaced), replaced)
    logits = [_logits(model, batch) for batch in _batches(plan, noised, text.windows, targets)]
    right = torch.cat(logits).argmax(-1) == torch.from_numpy(text.windows[targets])
    wrong = torch.from_numpy((noised != text.windows)[targets])
    return float(right[wrong].float().mean()), float(right[~wrong].float().mean())


def target_losses(
    model: LoadedModel, plan: BatchPlan, clean: Tokens, noise: Noise, holes: Flags, rng: np.random.Generator
) -> Tensor:
    """Cross-entropy in nats of every target, in row-major order."""
    noised, targets = corrupt(rng, noise, clean, np.ones_like(holes), holes)
    losses = []
    for batch in _batches(plan, noised, clean, targets):
        labels = torch.from_numpy(batch.clean[batch.targets])
        losses.append(functional.cross_entropy(_logits(model, batch), labels, reduction="none"))
    return torch.cat(losses)


def _plan(text: HeldOutText, attention: ContextAttention, block: int, noise: Noise = "mask") -> BatchPlan:
    return BatchPlan(attention, block, noise, len(text.windows), text.windows.shape[1])


def _batches(plan: BatchPlan, noised: Tokens, clean: Tokens, targets: Flags) -> list[Batch]:
    batches = []
    for start in range(0, plan.sequences, _SEQUENCES_AT_ONCE):
        part = slice(start, start + _SEQUENCES_AT_ONCE)
        smaller = BatchPlan(plan.attention, plan.block_length, plan.noise, len(clean[part]), plan.length)
        batches.append(Batch(smaller, noised[part], clean[part], targets[part]))
    return batches


@torch.inference_mode()
def _logits(model: LoadedModel, batch: Batch) -> Tensor:
    """Logits ``[targets, vocab]`` in fp32; entries that are never proposed are minus infinity."""
    rows, counted = batch_rows(batch)
    bias = attention_bias(batch.plan, model.dtype)
    hidden = model.denoiser(rows, dense_attend(batch.plan.sequences, bias))[counted]
    logits = model.denoiser.head.logits(hidden)
    logits[:, list(SUPPRESSED_IDS)] = -torch.inf
    return logits
