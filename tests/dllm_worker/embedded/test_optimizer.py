from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from dllm_worker.embedded.optimizer import OptimizerPair


def pair(model: nn.Linear) -> OptimizerPair:
    return OptimizerPair(torch.optim.Muon([model.weight], lr=0.1), torch.optim.AdamW([model.bias], lr=0.1))


def test_both_halves_step_and_resume_exactly() -> None:
    torch.manual_seed(0)
    model, copy, x = nn.Linear(4, 3), nn.Linear(4, 3), torch.randn(5, 4)
    optimizer = pair(model)

    def step(of: nn.Linear, by: OptimizerPair) -> None:
        of.zero_grad()
        torch.autograd.backward(of(x).square().sum())
        by.step()

    before = [parameter.detach().clone() for parameter in model.parameters()]
    step(model, optimizer)
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
    copy.load_state_dict(model.state_dict())
    resumed = pair(copy)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    step(model, optimizer)
    step(copy, resumed)
    assert torch.equal(model.weight, copy.weight)
    assert torch.equal(model.bias, copy.bias)
    assert len(optimizer.param_groups) == 2
