from __future__ import annotations

import math
from dataclasses import fields, replace
from unittest import mock

import pytest
import torch
from torch import Tensor

from dllm_worker import noise
from dllm_worker.noise import CountedNoise, NoiseKeys, philox

ONES = 0xFFFFFFFF
DRAWS = CountedNoise()


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_vectors(
    counter: tuple[int, ...], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    c0, c1, c2, c3 = (torch.tensor(value) for value in counter)
    drawn = philox((c0, c1, c2, c3), (torch.tensor(key[0]), torch.tensor(key[1])))
    assert tuple(int(word) for word in drawn) == words


def keys(rows: int, seed: int = 7) -> NoiseKeys:
    full = torch.full((rows,), 1, dtype=torch.int64)
    return NoiseKeys(full * seed, full * 0, full * 0, torch.arange(rows))


def drawn(asked: NoiseKeys, vocabulary: int = 50) -> tuple[Tensor, Tensor, Tensor]:
    """All three kinds of draws; the tokens chosen are from a flat distribution."""
    flat = torch.zeros(len(asked.seeds), vocabulary)
    return DRAWS.choose(flat, asked), DRAWS.order(asked), DRAWS.tokens(asked, vocabulary)


def test_a_row_draws_the_same_alone_and_among_others() -> None:
    row = torch.tensor([3])
    for together, alone in zip(drawn(keys(5)), drawn(keys(5).select(row)), strict=True):
        assert torch.equal(together[row], alone)


@pytest.mark.parametrize("part", [field.name for field in fields(NoiseKeys)])
def test_every_part_of_the_key_changes_the_draws(part: str) -> None:
    other = replace(keys(40), **{part: getattr(keys(40), part) + 1000})
    for before, after in zip(drawn(keys(40)), drawn(other), strict=True):
        assert float((before == after).float().mean()) < 0.2


def test_negative_seeds_are_keys_too() -> None:
    assert not torch.equal(DRAWS.order(keys(1, seed=-1)), DRAWS.order(keys(1, seed=1)))


def test_order_fills_the_open_unit_interval_evenly() -> None:
    order = DRAWS.order(keys(40_000))
    assert 0.0 < float(order.min()) < 0.001
    assert 0.999 < float(order.max()) < 1.0
    assert float(order.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("word", [0, ONES])
def test_no_word_reaches_an_end_of_the_interval(word: int) -> None:
    def same(counter: tuple[Tensor, ...], key: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (torch.full_like(counter[0] + counter[3], word),) * 4

    with mock.patch.object(noise, "philox", same):
        assert 0.0 < float(DRAWS.order(keys(1))) < 1.0
        assert int(DRAWS.tokens(keys(1), 1000)) == (999 if word else 0)
        logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, -1000.0, -torch.inf]])
        assert int(DRAWS.choose(logits, keys(1))) == 1


def test_random_tokens_are_uniform_and_independent_of_the_order() -> None:
    tokens = DRAWS.tokens(keys(40_000), 10)
    shares = torch.bincount(tokens, minlength=10) / len(tokens)
    assert float((shares - 0.1).abs().max()) < 0.01
    order = DRAWS.order(keys(40_000))
    assert abs(float(torch.corrcoef(torch.stack((tokens.float(), order)))[0, 1])) < 0.02


def test_choices_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.04, 0.01, 0.0])
    tokens = DRAWS.choose(probabilities.log().expand(40_000, -1), keys(40_000))
    shares = torch.bincount(tokens, minlength=6) / len(tokens)
    assert torch.allclose(shares, probabilities, atol=0.01)
    assert int((tokens == 5).sum()) == 0


@pytest.mark.parametrize("vocabulary", [1, 5, 256, 257, 700])
def test_choices_follow_the_distribution_across_groups(vocabulary: int) -> None:
    """Three tokens share the mass; the first, a middle one and the last, so in a large vocabulary three groups."""
    weights = {0: 0.2, vocabulary // 2: 0.5, vocabulary - 1: 0.3}
    logits = torch.full((10_000, vocabulary), -1e30)
    for token, weight in weights.items():
        logits[:, token] = math.log(weight)
    shares = torch.bincount(DRAWS.choose(logits, keys(10_000)), minlength=vocabulary) / 10_000
    for token, weight in weights.items():
        assert float(shares[token]) == pytest.approx(weight if vocabulary > 1 else 1.0, abs=0.02)


def test_a_flat_distribution_reaches_every_token_evenly() -> None:
    shares = torch.bincount(DRAWS.choose(torch.zeros(18_000, 600), keys(18_000)), minlength=600) / 18_000
    errors = shares * 600 - 1
    assert float(errors.abs().max()) < 0.9
    assert float((errors**2).mean()) == pytest.approx(1 / 30, rel=0.25)
