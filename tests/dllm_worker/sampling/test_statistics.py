from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from dllm_worker.models.head import Head
from dllm_worker.noise import CountedNoise, NoiseKeys
from dllm_worker.sampling import statistics
from dllm_worker.sampling.statistics import (
    ProposalParameters,
    Statistics,
    conditioned_statistics,
    head_statistics,
)

ROWS, WIDTH, VOCABULARY = 70, 12, 40
NONE = torch.empty(0, dtype=torch.int64)


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(ROWS, WIDTH, generator=generator), torch.randn(VOCABULARY, WIDTH, generator=generator)


def logits() -> Tensor:
    hidden, weight = inputs()
    return hidden @ weight.T


def parameters(
    temperature: float = 0.0, top_p: float = 1.0, top_k: int = 0, tempered: bool = False
) -> ProposalParameters:
    return ProposalParameters(
        torch.full((ROWS,), temperature),
        torch.full((ROWS,), top_p),
        torch.full((ROWS,), top_k),
        torch.full((ROWS,), tempered),
        torch.zeros(ROWS, dtype=torch.bool),
    )


def keys() -> NoiseKeys:
    zeros = torch.zeros(ROWS, dtype=torch.int64)
    return NoiseKeys(zeros + 5, zeros, zeros, torch.arange(ROWS))


def run(
    asked: ProposalParameters | None = None, suppressed: tuple[int, ...] = (), cap: float | None = None
) -> Statistics:
    hidden, weight = inputs()
    banned = torch.tensor(suppressed, dtype=torch.int64)
    return head_statistics(hidden, Head(weight, cap), banned, asked or parameters(), keys(), CountedNoise())


def columns(result: Statistics) -> list[Tensor]:
    return [getattr(result, field.name) for field in fields(Statistics) if field.name != "likelihoods"]


def test_greedy_statistics_equal_the_whole_matrix() -> None:
    probabilities = logits().softmax(-1)
    two, result = logits().topk(2).values, run()
    assert torch.equal(result.proposal, probabilities.argmax(-1))
    assert torch.equal(result.best, result.proposal)
    assert torch.allclose(result.confidence, probabilities.amax(-1), atol=1e-6)
    assert torch.allclose(result.margin, -probabilities.topk(2).values.diff().flatten(), atol=1e-6)
    assert torch.allclose(result.gap, two[:, 0] - two[:, 1], atol=1e-5)
    assert torch.allclose(result.entropy, torch.special.entr(probabilities).sum(-1), atol=1e-5)


def test_the_head_may_bend_its_logits() -> None:
    probabilities = (2 * torch.tanh(logits() / 2)).softmax(-1)
    assert torch.allclose(run(cap=2.0).confidence, probabilities.amax(-1), atol=1e-6)


MIXED = ProposalParameters(
    torch.tensor([0.0, 0.5, 0.9, 1.5, 2.0]).repeat(ROWS // 5),
    torch.tensor([0.9, 1.0]).repeat(ROWS // 2),
    torch.tensor([0, 0, 0, 5, 0, 12, 0]).repeat(ROWS // 7),
    torch.arange(ROWS) % 3 == 0,
    torch.arange(ROWS) % 2 == 0,
)


def test_tiles_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(MIXED)
    monkeypatch.setattr(statistics, "TILE_ELEMENTS", 32 * VOCABULARY)
    for one, other in zip(columns(whole), columns(run(MIXED)), strict=True):
        assert torch.equal(one, other)


def test_a_row_does_not_see_who_else_is_in_the_tile() -> None:
    hidden, weight = inputs()
    whole = run(MIXED)
    for row in range(ROWS):
        alone = torch.tensor([row])
        result = head_statistics(
            hidden[alone], Head(weight), NONE, MIXED.select(alone), keys().select(alone), CountedNoise()
        )
        assert [float(column) for column in columns(result)] == [float(column[row]) for column in columns(whole)]


@pytest.mark.parametrize("tiles", [0.1, 1.0, 1.6])
def test_no_tensor_is_larger_than_a_tile(monkeypatch: pytest.MonkeyPatch, tiles: float) -> None:
    """A tile has at least a bucket of 32 rows, and always whole buckets."""
    vocabulary = 512
    monkeypatch.setattr(statistics, "TILE_ELEMENTS", int(tiles * 32 * vocabulary))
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                largest = max(largest, result.numel())
            return result

    head, asked = Head(torch.randn(vocabulary, WIDTH)), parameters(temperature=0.7, top_p=0.9)
    with Watch():
        head_statistics(inputs()[0], head, NONE, asked, keys(), CountedNoise())
    assert largest == 32 * vocabulary


def test_no_rows_have_no_statistics() -> None:
    hidden, weight = inputs()
    result = head_statistics(
        hidden[:0], Head(weight), NONE, parameters().select(NONE), keys().select(NONE), CountedNoise()
    )
    assert [len(column) for column in columns(result)] == [0] * 6


def test_suppressed_tokens_have_no_probability() -> None:
    likely = tuple(set(run().proposal.tolist()))
    for asked in (parameters(), parameters(temperature=2.0, tempered=True)):
        result = run(asked, suppressed=likely)
        assert not set(result.proposal.tolist()) & set(likely)
        assert not set(result.best.tolist()) & set(likely)
        assert all(bool(torch.isfinite(column).all()) for column in columns(result))


def test_the_model_s_own_confidence_is_before_temperature_and_filters() -> None:
    probabilities = logits().softmax(-1)
    result = run(parameters(temperature=1.5, top_k=6))
    assert torch.allclose(result.confidence, probabilities.gather(1, result.proposal[:, None]).flatten(), atol=1e-6)
    assert torch.equal(result.entropy, run().entropy)
    assert not torch.equal(result.proposal, run().proposal)
    assert torch.equal(result.best, run().best)


def test_the_proposal_s_confidence_is_after_temperature_and_filters() -> None:
    heated = logits() / 1.5
    heated = heated.masked_fill(heated < heated.topk(6).values[:, -1:], -torch.inf)
    probabilities = heated.softmax(-1)
    result = run(parameters(temperature=1.5, top_k=6, tempered=True))
    assert torch.equal(result.proposal, run(parameters(temperature=1.5, top_k=6)).proposal)
    assert torch.allclose(result.confidence, probabilities.gather(1, result.proposal[:, None]).flatten(), atol=1e-6)
    assert torch.allclose(result.margin, -probabilities.topk(2).values.diff().flatten(), atol=1e-6)
    assert torch.allclose(result.entropy, torch.special.entr(probabilities).sum(-1), atol=1e-5)


def test_at_temperature_zero_both_are_the_model_s_own() -> None:
    for one, other in zip(columns(run(parameters(top_p=0.5, tempered=True))), columns(run()), strict=True):
        assert torch.equal(one, other)


def test_the_gap_is_that_of_the_model_s_logits_always() -> None:
    assert torch.equal(run(parameters(temperature=1.5, top_k=1, tempered=True)).gap, run().gap)


def test_greedy_rows_ask_for_no_noise() -> None:
    class Refusing(CountedNoise):
        def choose(self, logits: Tensor, keys: NoiseKeys) -> Tensor:
            asked.append(keys.positions.tolist())
            return super().choose(logits, keys)

    asked: list[list[int]] = []
    hidden, weight = inputs()
    mixed = parameters()
    mixed.temperature[7] = 1.0
    head_statistics(hidden, Head(weight), NONE, mixed, keys(), Refusing())
    assert asked == [[7]]


def test_top_k_one_and_a_tiny_nucleus_are_greedy() -> None:
    assert torch.equal(run(parameters(temperature=2.0, top_k=1)).proposal, run().proposal)
    assert torch.equal(run(parameters(temperature=2.0, top_p=1e-6)).proposal, run().proposal)


@pytest.mark.parametrize("temperature", [0.0, 0.4])
def test_soft_embeddings_are_means_under_the_tempered_distribution(
    monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    monkeypatch.setattr(statistics, "TILE_ELEMENTS", 32 * VOCABULARY)
    hidden, weight = inputs()
    table = torch.randn(VOCABULARY, 7, generator=torch.Generator().manual_seed(4))
    asked = parameters(temperature=temperature, tempered=True)
    banned = torch.tensor([3, 5])
    result, soft = conditioned_statistics(hidden, Head(weight), banned, asked, keys(), CountedNoise(), table)
    expected = logits().index_fill(1, banned, -torch.inf) / (temperature or 1.0)
    assert torch.allclose(soft, expected.softmax(-1) @ table, atol=1e-5)
    for one, other in zip(columns(result), columns(run(asked, suppressed=(3, 5))), strict=True):
        assert torch.equal(one, other)


def test_soft_embeddings_of_a_half_precision_table_are_single_precision() -> None:
    hidden, weight = inputs()
    table = torch.randn(VOCABULARY, 7).bfloat16()
    soft = conditioned_statistics(hidden, Head(weight), NONE, parameters(), keys(), CountedNoise(), table)[1]
    assert soft.dtype == torch.float32


def test_statistics_are_split_spread_and_joined_again() -> None:
    result = run(parameters(temperature=0.8))
    joined = Statistics.concatenate(result.split([10, 0, 60]))
    rows = torch.arange(ROWS) * 2 + 1
    spread = result.spread(rows, 2 * ROWS)
    for column, other, wide in zip(columns(result), columns(joined), columns(spread), strict=True):
        assert torch.equal(column, other)
        assert torch.equal(wide[rows], column)
        assert not bool(wide[rows - 1].any())
    assert torch.equal(result.cpu().gap, result.gap)
