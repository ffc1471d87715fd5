from __future__ import annotations

import torch
from torch import Tensor

from dllm_worker.sampling.distribution import EXCLUDED, Distribution
from dllm_worker.sampling.likelihood import NO_TOKEN, Likelihoods

ROWS, VOCABULARY = 6, 40
EVERY = torch.ones(ROWS, dtype=torch.bool)


def logits() -> Tensor:
    return 3 * torch.randn(ROWS, VOCABULARY, generator=torch.Generator().manual_seed(0))


def likelihoods(values: Tensor, asked: Tensor = EVERY, width: int = 5, proposal: int = 7) -> Likelihoods:
    return Likelihoods.of(Distribution.of(values.clone()), torch.full((ROWS,), proposal), asked, width)


def test_they_are_the_log_softmax_of_the_logits() -> None:
    expected, found = logits().log_softmax(-1), likelihoods(logits())
    best = expected.topk(5)
    assert torch.allclose(found.proposal, expected[:, 7], atol=1e-5)
    assert torch.allclose(found.best, expected.amax(-1), atol=1e-6)
    assert torch.equal(found.tokens, best.indices)
    assert torch.allclose(found.values, best.values, atol=1e-5)


def test_of_equals_the_lowest_id_comes_first_however_many_are_asked_for() -> None:
    few_values = (logits() / 3).round()
    order = few_values.sort(dim=-1, descending=True, stable=True).indices
    for width in (1, 3, 20, VOCABULARY):
        assert torch.equal(likelihoods(few_values, width=width).tokens, order[:, :width])


def test_what_is_never_proposed_is_no_alternative() -> None:
    values = logits()
    values[:, 3:] = EXCLUDED
    found = likelihoods(values, width=5, proposal=2)
    assert bool((found.tokens[:, 3:] == NO_TOKEN).all())
    assert not bool((found.tokens[:, :3] == NO_TOKEN).any())


def test_there_are_no_more_than_the_vocabulary_has() -> None:
    assert likelihoods(logits()[:, :8], width=20).tokens.shape == (ROWS, 8)


def test_only_rows_that_ask_have_any() -> None:
    asked = torch.tensor([False, True, False, False, True, False])
    found, whole = likelihoods(logits(), asked), likelihoods(logits())
    for own, other in zip(found._columns(), whole._columns(), strict=True):
        assert torch.equal(own[asked], other[asked])
        assert not bool(own[~asked].any())


def test_they_are_split_and_joined_again() -> None:
    whole = likelihoods(logits())
    joined = Likelihoods.concatenate(whole.split([2, 0, 4])).cpu()
    assert all(torch.equal(own, other) for own, other in zip(joined._columns(), whole._columns(), strict=True))
