from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dllm_worker.sampling import distribution
from dllm_worker.sampling.distribution import EXCLUDED, Distribution, keep_top, row_sums, tempered

logits = st.lists(st.floats(-30.0, 30.0, width=32), min_size=2, max_size=12).map(lambda row: torch.tensor([row]))


def shifted(values: Tensor) -> Tensor:
    return values - values.amax(-1, keepdim=True)


def kept(values: Tensor, top_k: int = 0, top_p: float = 1.0, *, nucleus_first: bool = False) -> list[int]:
    """The tokens that stay of the first row."""
    rows = torch.ones(len(values))
    left = keep_top(shifted(values), (rows * top_k).long(), rows * top_p, rows.bool() & nucleus_first)
    return (left[0] > EXCLUDED).nonzero().flatten().tolist()


def reference_kept(values: Tensor, top_k: int, top_p: float) -> list[int]:
    """The filters of SDAR and LLaDA2: the ``top_k`` best, then of those what lies in the nucleus."""
    ordered = values[0].double().sort(descending=True).values
    count = min(top_k or len(ordered), len(ordered))
    probabilities = ordered[:count].softmax(-1)
    stays = [0.0, *probabilities.cumsum(-1).tolist()][:count]
    last = max(i for i, before in enumerate(stays) if before <= top_p or i == 0)
    return sorted(i for i in range(len(ordered)) if values[0, i].double() >= ordered[last])


@given(logits)
def test_statistics_are_those_of_the_softmax(values: Tensor) -> None:
    probabilities = values.double().softmax(-1)
    two = values.double().sort(descending=True).values[0, :2]
    own = Distribution.of(values.clone())
    assert int(own.best) == int((values[0] == values[0].max()).nonzero()[0])
    assert float(own.probability(own.best)) == pytest.approx(float(probabilities.max()), rel=1e-4)
    assert float(own.margin) == pytest.approx(float(probabilities.sort().values[0, -2:].diff()), abs=1e-5)
    assert float(own.gap) == pytest.approx(float(two[0] - two[1]), abs=1e-4)
    assert float(own.entropy) == pytest.approx(float(torch.special.entr(probabilities).sum()), abs=1e-5)


def test_excluded_tokens_count_for_nothing() -> None:
    values = torch.tensor([[1.0, EXCLUDED, 0.5, EXCLUDED]])
    own = Distribution.of(tempered(values, torch.tensor([1e-9])))
    assert bool(torch.isfinite(torch.stack((own.entropy, own.margin, own.mass))).all())
    assert float(own.probability(torch.tensor([1]))) == 0.0
    alone = Distribution.of(torch.tensor([[EXCLUDED, 3.0]]))
    assert (float(alone.margin), float(alone.entropy)) == (1.0, 0.0)


@given(logits, st.integers(0, 14), st.floats(0.05, 1.0))
def test_filters_keep_what_the_reference_keeps(values: Tensor, top_k: int, top_p: float) -> None:
    """But for what rounding decides: tokens at the very edge of the nucleus."""
    values = shifted(values)
    own = kept(values, top_k, top_p)
    near = (reference_kept(values, top_k, max(0.0, top_p - 1e-5)), reference_kept(values, top_k, top_p + 1e-5))
    assert set(near[0]) <= set(own) <= set(near[1])


def test_the_nucleus_is_taken_of_what_top_k_leaves() -> None:
    values = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert kept(values, top_p=0.55) == [0, 1]
    assert kept(values, top_k=2, top_p=0.55) == [0]
    assert kept(values, top_k=3) == [0, 1, 2]
    assert kept(values, top_p=1e-6) == [0]


def test_without_a_nucleus_rounding_drops_nothing() -> None:
    """The tail adds less than the rounding of the sum before it."""
    for seed in range(5):
        likely = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * 0.1
        values = torch.cat((likely, -20.0 - torch.arange(600) / 100))[None]
        assert len(kept(values, top_k=700)) == 700


def test_equals_of_the_last_token_stay_with_it() -> None:
    values = torch.tensor([[1.0, 2.0, 1.0, 0.0]])
    assert kept(values, top_k=2) == [0, 1, 2]


@given(logits, st.integers(1, 14), st.floats(0.05, 1.0))
def test_with_the_nucleus_first_what_stays_is_in_both(values: Tensor, top_k: int, top_p: float) -> None:
    """Dream filters by top-p and then by top-k."""
    both = set(kept(values, top_k)) & set(kept(values, top_p=top_p))
    assert set(kept(values, top_k, top_p, nucleus_first=True)) == both


@pytest.mark.parametrize(("nucleus_first", "left"), [(False, [0]), (True, [0, 1])])
def test_the_mass_of_the_nucleus_is_that_of_all_or_of_the_best(nucleus_first: bool, left: list[int]) -> None:
    """0.4 is past half of the 0.7 that the two best have, and not past half of everything."""
    values = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert kept(values, top_k=2, top_p=0.5, nucleus_first=nucleus_first) == left


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 0.3), (0, 0.97), (3, 1.0), (40, 0.9), (90, 1.0)])
def test_wide_nuclei_are_found_too(monkeypatch: pytest.MonkeyPatch, top_k: int, top_p: float) -> None:
    values = torch.randn(5, 100, generator=torch.Generator().manual_seed(2))
    whole = kept(values, top_k, top_p)
    monkeypatch.setattr(distribution, "NUCLEUS_WIDTH", 8)
    assert kept(values, top_k, top_p) == whole


def test_rows_that_do_not_filter_pass_as_they_are() -> None:
    values = shifted(torch.randn(2, 20))
    left = keep_top(values, torch.tensor([0, 4]), torch.tensor([1.0, 1.0]), torch.tensor([False, True]))
    assert torch.equal(left[0], values[0])
    assert int((left[1] > EXCLUDED).sum()) == 4


def test_a_lone_row_sums_as_among_others() -> None:
    """With several threads torch sums a lone row of this length in pieces."""
    values = torch.rand(6, 100_000, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole = row_sums(values)
        assert [float(row_sums(values[i : i + 1])) for i in range(6)] == whole.tolist()
    finally:
        torch.set_num_threads(threads)
