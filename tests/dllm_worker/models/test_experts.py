"""Routing and the experts, each against the plainest way to write it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dllm_worker.models.experts import Experts, Router

HIDDEN, EXPERTS, CHOSEN, GROUPS, KEPT = 96, 8, 2, 4, 2


@pytest.fixture
def router() -> Router:
    torch.manual_seed(0)
    return Router(HIDDEN, EXPERTS, CHOSEN, GROUPS, KEPT, scale=2.5).requires_grad_(requires_grad=False)


@pytest.fixture
def experts() -> Experts:
    torch.manual_seed(1)
    return Experts(HIDDEN, 160, EXPERTS).requires_grad_(requires_grad=False)


def rows(count: int) -> Tensor:
    return torch.randn(count, HIDDEN, generator=torch.Generator().manual_seed(2))


def test_weights_add_up_to_the_scale(router: Router) -> None:
    _, weights = router(rows(20))
    torch.testing.assert_close(weights.sum(-1), torch.full((20,), 2.5))


def test_the_bias_decides_who_runs_but_not_how_much(router: Router) -> None:
    router.expert_bias[[0, 1]] = 5.0
    chosen, weights = router(rows(20))
    scores = functional.linear(rows(20), router.weight).sigmoid()[:, :2]
    assert (chosen.sort(-1).values == torch.tensor([0, 1])).all()
    torch.testing.assert_close(weights.gather(1, chosen.argsort(-1)), 2.5 * scores / scores.sum(-1, keepdim=True))


def test_experts_come_from_the_best_groups_only(router: Router) -> None:
    """One expert is best of all, but the other of its group is so bad that two groups beat it."""
    router.weight.zero_()
    router.expert_bias.copy_(torch.tensor([1.0, -9.0, 0.3, 0.3, 0.4, 0.4, 0.0, 0.0]))
    chosen, _ = router(rows(3))
    assert (chosen.sort(-1).values == torch.tensor([4, 5])).all()


def test_a_single_expert_keeps_its_score() -> None:
    router = Router(HIDDEN, EXPERTS, 1, GROUPS, KEPT, scale=1.0).requires_grad_(requires_grad=False)
    chosen, weights = router(rows(5))
    torch.testing.assert_close(weights, functional.linear(rows(5), router.weight).sigmoid().gather(1, chosen))


def test_the_sum_is_that_of_each_row_alone(router: Router, experts: Experts) -> None:
    x = rows(30)
    chosen, weights = router(x)
    expected = torch.zeros_like(x)
    for row, (indices, shares) in enumerate(zip(chosen.tolist(), weights, strict=True)):
        for expert, share in zip(indices, shares, strict=True):
            gate, up = (experts.gate_up_proj[expert] @ x[row]).chunk(2)
            expected[row] += share * (experts.down_proj[expert] @ (functional.silu(gate) * up))
    torch.testing.assert_close(experts(x, chosen, weights), expected, atol=1e-4, rtol=1e-4)


def test_a_row_gets_the_same_bits_whoever_shares_its_experts(router: Router, experts: Experts) -> None:
    x = rows(96)
    chosen, weights = router(x)
    together = experts(x, chosen, weights)
    for row in range(0, 96, 7):
        alone = experts(x[row : row + 1], chosen[row : row + 1], weights[row : row + 1])
        assert torch.equal(alone[0], together[row])
