from __future__ import annotations

import pytest
import torch

from dllm_worker.noise import NoiseKeys, order_uniform, philox, vocabulary_uniform

ONES = 0xFFFFFFFF


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


def keys(rows: int, seed: int = 7, step: int = 0) -> NoiseKeys:
    full = torch.full((rows,), 1, dtype=torch.int64)
    return NoiseKeys(full * seed, full * 0, full * step, torch.arange(rows))


def test_a_row_draws_the_same_alone_and_among_others() -> None:
    together = vocabulary_uniform(keys(5), 10)
    alone = vocabulary_uniform(keys(5).select(torch.tensor([3])), 10)
    assert torch.equal(alone[0], together[3])


@pytest.mark.parametrize("changed", [keys(4, seed=8), keys(4, step=1)])
def test_every_part_of_the_key_changes_the_draw(changed: NoiseKeys) -> None:
    assert not torch.equal(vocabulary_uniform(keys(4), 12), vocabulary_uniform(changed, 12))
    assert not torch.equal(order_uniform(keys(4)), order_uniform(changed))


def test_negative_seeds_are_keys_too() -> None:
    assert not torch.equal(vocabulary_uniform(keys(1, seed=-1), 8), vocabulary_uniform(keys(1, seed=1), 8))


def test_draws_fill_the_open_unit_interval_evenly() -> None:
    drawn = vocabulary_uniform(keys(400), 101)
    assert drawn.shape == (400, 101)
    assert 0.0 < float(drawn.min()) < 0.001
    assert 0.999 < float(drawn.max()) < 1.0
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.01)
