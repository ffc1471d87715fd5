from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.canvas import first_start, grid_length, last_start, open_canvas, total_length
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.running import hole_spans
from dllm_worker.spec import CanvasAnchor, ContextAttention, ModelSpec

CPU = torch.device("cpu")
MASK = 0


def spec(anchor: CanvasAnchor = "zero", context: ContextAttention = "block_causal") -> ModelSpec:
    return ModelSpec(
        family="test",
        vocab_size=100,
        corruption="absorbing",
        mask_token_id=MASK,
        eos_token_ids=(1,),
        suppressed_token_ids=(MASK,),
        canvas_length=8,
        max_canvas_length=64,
        canvas_anchor=anchor,
        context_attention=context,
        max_position=64,
    )


@pytest.mark.parametrize(
    ("anchor", "context", "start"),
    [("zero", "block_causal", 8), ("prompt", "causal", 13), ("zero", "bidirectional", 0)],
)
def test_the_first_canvas_follows_the_anchor(anchor: CanvasAnchor, context: ContextAttention, start: int) -> None:
    assert first_start(Request("a", (5,) * 13, max_tokens=4), spec(anchor, context)) == start


def test_the_prompts_tail_is_pinned() -> None:
    request = Request("a", prompt=tuple(range(2, 15)), max_tokens=20)
    canvas = open_canvas(request, spec(), 0, 8, CPU)
    assert canvas.tokens.tolist() == [10, 11, 12, 13, 14, MASK, MASK, MASK]
    assert canvas.masked.tolist() == [False] * 5 + [True] * 3
    assert (canvas.opened, canvas.clean_prefix) == (3, 5)


def test_a_mask_id_in_the_prompt_is_text() -> None:
    canvas = open_canvas(Request("a", prompt=(MASK, 5), max_tokens=2), spec(), 0, 0, CPU)
    assert canvas.masked.tolist() == [False, False, True, True]


def test_a_template_is_one_canvas() -> None:
    request = Request("a", prompt=(5,) * 9, template=(None, 7, None) * 5)
    assert first_start(request, spec()) == last_start(request, spec()) == 8
    canvas = open_canvas(request, spec(), 0, 8, CPU)
    assert canvas.length == 16
    assert canvas.tokens[:4].tolist() == [5, MASK, 7, MASK]


def test_the_last_canvas_ends_where_the_answer_ends() -> None:
    request = Request("a", prompt=(5,) * 4, max_tokens=15)
    assert last_start(request, spec()) == 16
    assert open_canvas(request, spec(), 2, 16, CPU).length == 3


@given(st.integers(0, 30), st.integers(1, 30), st.sampled_from([None, 4, 16]), st.sampled_from(["zero", "prompt"]))
def test_canvases_tile_the_answer(prompt: int, answer: int, length: int | None, anchor: CanvasAnchor) -> None:
    request = Request("a", (5,) * prompt, max_tokens=answer, canvas_length=length)
    facts = spec(anchor)
    start, opened = first_start(request, facts), 0
    assert prompt - grid_length(request, facts) < start <= prompt
    while start < total_length(request):
        canvas = open_canvas(request, facts, 0, start, CPU)
        assert 0 < canvas.length <= grid_length(request, facts)
        start, opened = canvas.end, opened + canvas.opened
    assert (start, opened) == (prompt + answer, answer)


def test_accepting_changes_masked_positions_only() -> None:
    canvas = open_canvas(Request("a", prompt=(5, 6), max_tokens=3), spec(), 0, 0, CPU)
    canvas.accept(torch.tensor([False, False, True, False, True]), torch.tensor([9, 9, 9, 9, 9]))
    assert canvas.tokens.tolist() == [5, 6, 9, MASK, 9]
    assert (canvas.step, canvas.masked_len, canvas.clean_prefix, canvas.is_settled) == (1, 1, 3, False)


def test_a_step_bound_is_never_above_the_masks() -> None:
    request = Request("a", max_tokens=8, sampling=SamplingParameters(max_steps=99))
    assert open_canvas(request, spec(), 0, 0, CPU).max_steps(request) == 8


def test_holes_are_runs() -> None:
    assert hole_spans((None, None, 4, None)) == [range(2), range(3, 4)]
    assert hole_spans((4, 4)) == []
