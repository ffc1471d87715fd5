"""Sparse mixture of experts: every row goes through the few experts that its router chooses, and a shared one."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from dllm_worker.models.blocks import Activation, FullPrecision, GatedMLP
from dllm_worker.shapes import bucketed


class Router(FullPrecision):
    """Sigmoid scores, a bias that steers the choice only, experts from the best groups (arXiv 2412.19437, 2.1.2).

    A group is as good as its two best experts. A rounded score changes which experts run, so none is.
    """

    def __init__(self, hidden_size: int, experts: int, chosen: int, groups: int, kept: int, scale: float) -> None:
        super().__init__()
        self.chosen, self.groups, self.kept, self.scale = chosen, groups, kept, scale
        self.weight = nn.Parameter(torch.empty(experts, hidden_size).normal_(std=hidden_size**-0.5))
        self.expert_bias = nn.Parameter(torch.zeros(experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For ``x [rows, hidden]`` the experts, int64, and their weights, fp32, both ``[rows, chosen]``."""
        scores = functional.linear(x.float(), self.weight).sigmoid()
        steered = (scores + self.expert_bias).view(len(x), self.groups, -1)
        best = steered.topk(2, dim=-1).values.sum(-1).topk(self.kept, dim=-1).indices
        dropped = torch.ones_like(steered[..., 0], dtype=torch.bool).scatter(1, best, value=False)
        experts = steered.masked_fill(dropped[..., None], -torch.inf).flatten(1).topk(self.chosen, dim=-1).indices
        weights = scores.gather(1, experts)
        if self.chosen > 1:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        return experts, weights * self.scale


class Mixture(nn.Module, ABC):
    """``count`` experts, of which each row passes the few that are chosen for it."""

    count: int

    def forward(self, x: Tensor, experts: Tensor, weights: Tensor) -> Tensor:
        """Sum of what the chosen ``experts [rows, chosen]`` make of ``x [rows, hidden]``, weighted.

        Rows are sorted by expert, so each expert that is chosen at all runs once; its results go back to their
        rows before they are added, so a row's sum has one order. An expert sees whole buckets: how many rows share
        it depends on who else is in the batch.
        """
        chosen = experts.flatten()
        order = chosen.argsort(stable=True)
        results = x.new_empty(len(order), x.shape[1])
        rows_of = torch.bincount(chosen, minlength=self.count).tolist()
        for expert, places in enumerate(torch.split(order, rows_of)):
            if len(places):
                padding = bucketed(len(places)) - len(places)
                rows = functional.pad(x[places // experts.shape[1]], (0, 0, 0, padding))
                results[places] = self.run(expert, rows)[: len(places)]
        weighted: Tensor = results.view(*experts.shape, -1) * weights[..., None]
        return weighted.sum(1).to(x.dtype)

    @abstractmethod
    def run(self, expert: int, rows: Tensor) -> Tensor:
        """One expert on ``rows [rows, hidden]``."""


class Experts(Mixture):
    """Stacked gated MLPs: ``gate_up_proj [experts, 2 * width, hidden]`` and ``down_proj [experts, hidden, width]``."""

    def __init__(
        self, hidden_size: int, intermediate_size: int, experts: int, activation: Activation = functional.silu
    ) -> None:
        super().__init__()
        self.count, self.activation = experts, activation
        gate_up = torch.empty(experts, 2 * intermediate_size, hidden_size).normal_(std=hidden_size**-0.5)
        self.gate_up_proj = nn.Parameter(gate_up)
        down = torch.empty(experts, hidden_size, intermediate_size).normal_(std=intermediate_size**-0.5)
        self.down_proj = nn.Parameter(down)

    def run(self, expert: int, rows: Tensor) -> Tensor:
        gate, up = functional.linear(rows, self.gate_up_proj[expert]).chunk(2, dim=-1)
        return functional.linear(self.activation(gate) * up, self.down_proj[expert])


class SparseMLP(nn.Module):
    """Routed experts plus ``shared_experts``, which every row passes."""

    def __init__(self, gate: Router, experts: Experts, shared_experts: GatedMLP) -> None:
        super().__init__()
        self.gate, self.experts, self.shared_experts = gate, experts, shared_experts

    def forward(self, x: Tensor) -> Tensor:
        routed: Tensor = self.experts(x, *self.gate(x)) + self.shared_experts(x)
        return routed
