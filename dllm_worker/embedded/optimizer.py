"""Muon for the matrices of a network's layers and AdamW for the rest, stepped and saved as one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dllm_worker.embedded.training import TrainingPlan, adamw
from dllm_worker.models.embedded import EmbeddedDenoiser


class OptimizerPair:
    """Each half updates its own parameters; the parameter groups of both are listed together."""

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self.halves = (first, second)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for half in self.halves for group in half.param_groups]

    def step(self) -> None:
        for half in self.halves:
            half.step()

    def state_dict(self) -> dict[str, Any]:
        return {"halves": [half.state_dict() for half in self.halves]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for half, state in zip(self.halves, state_dict["halves"], strict=True):
            half.load_state_dict(state)


def muon(model: EmbeddedDenoiser, plan: TrainingPlan) -> OptimizerPair:
    """Muon for the matrices of the layers, AdamW for embeddings, head and norms (arXiv 2502.16982).

    Muon's updates are scaled to the size of AdamW's, so both share one learning rate. On one core: after 75 seconds of
    ``tiny-code`` the held-out loss was 5.67 nats where AdamW alone had reached 6.07; the loss of ``tiny-sudoku`` left
    its first plateau after 60 steps instead of 110.
    """
    matrices: list[nn.Parameter] = [p for p in model.layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    orthogonal = torch.optim.Muon(
        matrices, lr=plan.learning_rate, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return OptimizerPair(orthogonal, adamw(others, plan))
