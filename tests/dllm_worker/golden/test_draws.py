from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.golden.draws import RecordedDraws, inverse_cdf, keyed
from dllm_worker.golden.record import GoldenError
from dllm_worker.noise import NoiseKeys

LOGITS = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()


def keys(positions: list[int], canvas: int = 0, step: int = 0, seed: int = 0) -> NoiseKeys:
    place = torch.tensor(positions)
    return NoiseKeys(torch.full_like(place, seed), torch.full_like(place, canvas), torch.full_like(place, step), place)


@pytest.mark.parametrize(("uniform", "token"), [(0.0, 0), (0.49, 0), (0.5, 1), (0.76, 2), (0.9, 3), (1.0, 3)])
def test_the_token_is_the_number_of_cumulative_probabilities_up_to_the_uniform(uniform: float, token: int) -> None:
    assert inverse_cdf(LOGITS, torch.tensor([uniform], dtype=torch.float64)).tolist() == [token]


@given(st.integers(0, 30), st.floats(0.0, 0.999))
def test_an_excluded_token_is_never_chosen(excluded: int, uniform: float) -> None:
    logits = torch.linspace(-1, 1, 31)[None].clone()
    logits[:, excluded] = -1e30
    assert inverse_cdf(logits, torch.tensor([uniform], dtype=torch.float64)).item() != excluded


def test_without_uniforms_the_best_token_is_chosen() -> None:
    assert RecordedDraws().choose(LOGITS.flip(-1), keys([3])).tolist() == [3]


def test_a_draw_belongs_to_its_seed_canvas_step_and_position() -> None:
    draws = RecordedDraws(
        {(1, 2, 3, 4): 0.6}, orders=keyed({7: 0.25, 8: 0.75}, canvas=1, step=5), fresh=keyed({9: 11}, canvas=0, step=0)
    )
    assert draws.choose(LOGITS, keys([4], canvas=2, step=3, seed=1)).tolist() == [1]
    assert draws.order(keys([8, 7], canvas=1, step=5)).tolist() == [0.75, 0.25]
    assert draws.tokens(keys([9]), vocab_size=12).tolist() == [11]


def test_a_draw_that_was_not_recorded_is_an_error() -> None:
    with pytest.raises(GoldenError, match="order that was not recorded: row 0, canvas 1, step 2, position 3"):
        RecordedDraws().order(keys([3], canvas=1, step=2))


def test_a_random_token_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(GoldenError, match="random token 11 is outside the vocabulary of 11"):
        RecordedDraws(fresh=keyed({9: 11}, canvas=0, step=0)).tokens(keys([9]), vocab_size=11)
