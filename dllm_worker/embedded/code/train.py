"""Trains ``tiny-code``: one set of weights for three context attentions and two corruptions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.embedded.code.attention import attention_bias, batch_rows, dense_attend
from dllm_worker.embedded.code.corruption import Batch, draw_batch
from dllm_worker.embedded.code.dataset import Dataset
from dllm_worker.embedded.code.tokenizer import VOCAB_SIZE
from dllm_worker.embedded.optimizer import muon
from dllm_worker.embedded.training import Trainer, TrainingPlan
from dllm_worker.models.embedded import EmbeddedConfig, EmbeddedDenoiser
from dllm_worker.models.rows import Rows

CONFIG = EmbeddedConfig(
    vocab_size=VOCAB_SIZE,
    hidden_size=320,
    intermediate_size=832,
    num_hidden_layers=5,
    num_attention_heads=5,
    num_key_value_heads=5,
    head_dim=64,
    max_position_embeddings=512,
)
ROWS, LENGTH, SEED = 8192, 256, 20261121
_INITIAL_SPREAD = 0.02


def initialise(model: EmbeddedDenoiser, seed: int) -> None:
    """Normal weights; the matrices that write into the residual stream are scaled down by its depth (GPT-2)."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
            spread = _INITIAL_SPREAD / (2 * model.config.depth) ** 0.5 if into_residual else _INITIAL_SPREAD
            torch.nn.init.normal_(parameter, std=spread, generator=generator)


def compiled_loss(model: EmbeddedDenoiser) -> Callable[[Batch], Tensor]:
    """Mean cross-entropy in nats over the targets of a batch, under bfloat16 autocast."""

    def hidden_rows(rows: Rows, sequences: int, bias: Tensor | None) -> Tensor:
        return model.forward(rows, dense_attend(sequences, bias))

    def cross_entropy(hidden: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(model.lm_head(hidden).float(), labels)

    trunk = torch.compile(hidden_rows, dynamic=False)
    head = torch.compile(cross_entropy, dynamic=True)

    def loss(batch: Batch) -> Tensor:
        rows, counted = batch_rows(batch)
        labels = torch.from_numpy(batch.clean)[torch.from_numpy(batch.targets)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = trunk(rows, batch.plan.sequences, attention_bias(batch.plan, torch.bfloat16))
            return head(hidden[counted], labels)

    return loss


def train(data: Path, directory: Path, seconds: float, rate: float, rows: int = ROWS) -> Trainer:
    """Train on ``data`` until ``seconds`` are spent over all runs in ``directory``."""
    dataset = Dataset.load(data)
    model = EmbeddedDenoiser(CONFIG)
    initialise(model, SEED)
    plan = TrainingPlan(seconds=seconds, learning_rate=rate, average_decay=0.998)
    trainer = Trainer(model, plan, directory, muon(model, plan))
    loss = compiled_loss(model)
    trainer.run(lambda step: loss(draw_batch(dataset, SEED, step, rows, LENGTH)))
    return trainer
