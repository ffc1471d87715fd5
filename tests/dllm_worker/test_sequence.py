from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.request import Request
from dllm_worker.sequence import Sequence, masked_span, pinned

MASK = 0


def sequence(*cells: int | None) -> Sequence:
    tokens = torch.tensor([MASK if cell is None else cell for cell in cells])
    return Sequence(tokens, torch.tensor([cell is None for cell in cells]))


def test_the_prompts_tail_and_the_template_are_pinned() -> None:
    request = Request("a", prompt=(2, 3, 4), template=(None, 7, None))
    assert pinned(request, 1, 6) == [3, 4, None, 7, None]
    assert pinned(request, 4, 6) == [7, None]


def test_a_mask_id_in_the_prompt_is_text() -> None:
    tokens, masked = masked_span(Request("a", prompt=(MASK, 5), max_tokens=2), 0, 4, MASK)
    assert tokens.tolist() == [MASK, 5, MASK, MASK]
    assert masked.tolist() == [False, False, True, True]


def test_accepted_positions_are_masked_no_longer() -> None:
    found = sequence(5, 6, None, None, None)
    found.accept(2, torch.tensor([True, False, True]), torch.tensor([9, 9, 9]))
    assert found.tokens.tolist() == [5, 6, 9, MASK, 9]
    assert (found.masks(0, 5), found.first_mask(0, 5), found.is_settled(0, 3)) == (1, 3, True)


def test_without_a_mask_the_first_one_lies_behind_the_end() -> None:
    assert sequence(5, 6, 7).first_mask(1, 3) == 3


@given(st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=1, max_size=12), st.data())
def test_what_is_cut_off_can_be_added_again(cells: list[int | None], data: st.DataObject) -> None:
    whole, found = sequence(*cells), sequence(*cells)
    at = data.draw(st.integers(0, len(cells)))
    found.cut(at)
    assert found.length == at
    found.extend(whole.tokens[at:], whole.masked[at:])
    assert torch.equal(found.tokens, whole.tokens)
    assert torch.equal(found.masked, whole.masked)
