from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dllm_worker.noise import NoiseKeys
from dllm_worker.sampling import statistics
from dllm_worker.sampling.statistics import ProposalParameters, Statistics, head_statistics

ROWS, WIDTH, VOCABULARY = 70, 12, 40


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(ROWS, WIDTH, generator=generator), torch.randn(VOCABULARY, WIDTH, generator=generator)


def run(temperature: float = 0.0, top_p: float = 1.0, top_k: int = 0, suppressed: tuple[int, ...] = ()) -> Statistics:
    hidden, weight = inputs()
    parameters = ProposalParameters(
        torch.full((ROWS,), temperature), torch.full((ROWS,), top_p), torch.full((ROWS,), top_k)
    )
    zeros = torch.zeros(ROWS, dtype=torch.int64)
    keys = NoiseKeys(zeros + 5, zeros, zeros, torch.arange(ROWS))
    return head_statistics(hidden, weight, torch.tensor(suppressed, dtype=torch.int64), parameters, keys)


def test_greedy_statistics_equal_the_whole_matrix() -> None:
    hidden, weight = inputs()
    probabilities = (hidden @ weight.T).softmax(-1)
    result = run()
    assert torch.equal(result.proposal, probabilities.argmax(-1))
    assert torch.allclose(result.confidence, probabilities.amax(-1), atol=1e-6)
    assert torch.allclose(result.entropy, torch.special.entr(probabilities).sum(-1), atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_tiles_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch, temperature: float) -> None:
    whole = run(temperature, top_p=0.9)
    monkeypatch.setattr(statistics, "TILE_ELEMENTS", 32 * VOCABULARY)
    tiled = run(temperature, top_p=0.9)
    assert torch.equal(whole.proposal, tiled.proposal)
    assert torch.equal(whole.confidence, tiled.confidence)


def test_no_tensor_is_larger_than_a_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "TILE_ELEMENTS", 32 * VOCABULARY)
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                largest = max(largest, result.numel())
            return result

    with Watch():
        run()
    assert largest == 32 * VOCABULARY


def test_suppressed_tokens_have_no_probability() -> None:
    free = run()
    likely = tuple(set(free.proposal.tolist()))
    result = run(suppressed=likely)
    assert not set(result.proposal.tolist()) & set(likely)
    assert bool(torch.isfinite(result.entropy).all())


def test_confidence_is_that_of_the_untempered_distribution() -> None:
    hidden, weight = inputs()
    probabilities = (hidden @ weight.T).softmax(-1)
    result = run(temperature=1.5)
    assert torch.allclose(result.confidence, probabilities.gather(1, result.proposal[:, None]).flatten(), atol=1e-6)
    assert not torch.equal(result.proposal, run().proposal)


def test_top_k_one_and_a_tiny_nucleus_are_greedy() -> None:
    assert torch.equal(run(temperature=2.0, top_k=1).proposal, run().proposal)
    assert torch.equal(run(temperature=2.0, top_p=1e-6).proposal, run().proposal)


def test_top_k_keeps_to_the_best() -> None:
    hidden, weight = inputs()
    best = (hidden @ weight.T).topk(3, dim=-1).indices
    assert bool((best == run(temperature=2.0, top_k=3).proposal[:, None]).any(-1).all())
