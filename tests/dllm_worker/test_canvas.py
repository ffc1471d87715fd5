from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.canvas import (
    Canvas,
    Grid,
    canvas_end,
    first_start,
    grid_length,
    grid_of,
    last_start,
    needs_refresh,
    reuse_window,
    total_length,
)
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from dllm_worker.spec import CanvasAnchor, ContextAttention, Conventions, ModelSpec

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
    [("zero", "block_causal", 8), ("prompt", "causal", 13), ("zero", "bidirectional", 13)],
)
def test_the_first_canvas_follows_the_anchor(anchor: CanvasAnchor, context: ContextAttention, start: int) -> None:
    assert first_start(Request("a", (5,) * 13, max_tokens=4), spec(anchor, context)) == start


def test_the_last_canvas_ends_where_the_answer_ends() -> None:
    request = Request("a", prompt=(5,) * 4, max_tokens=15)
    assert (last_start(request, spec()), canvas_end(request, spec(), 16)) == (16, 19)


def test_a_template_is_one_canvas() -> None:
    request = Request("a", prompt=(5,) * 9, template=(None, 7, None) * 5)
    assert first_start(request, spec()) == last_start(request, spec()) == 8
    assert canvas_end(request, spec(), 8) == 24


def test_blocks_are_counted_from_zero_from_the_prompts_end_or_behind_one_block_of_prompt() -> None:
    request = Request("a", (5,) * 13, max_tokens=8)
    assert grid_of(request, spec()) == Grid(8, 8)
    assert grid_of(request, spec("prompt")) == Grid(5, 8)
    assert grid_of(request, replace(spec("prompt"), prompt_block=True)) == Grid(13, 8)
    assert grid_of(request, replace(spec("prompt", "causal"), prompt_block=True)) == Grid(5, 8)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 50), st.integers(1, 50))
def test_the_edges_of_a_grid_are_the_beginnings_of_blocks(first: int, length: int, start: int, more: int) -> None:
    grid = Grid(first, length)
    begin = grid.start_of(start)
    edges = grid.edges(begin, begin + more)
    assert (edges[0], edges[-1]) == (begin, begin + more)
    assert edges[1:-1] == [at for at in range(begin + 1, begin + more) if grid.start_of(at) == at]


@given(st.integers(0, 30), st.integers(1, 30), st.sampled_from([None, 4, 16]), st.sampled_from(["zero", "prompt"]))
def test_canvases_tile_the_answer(prompt: int, answer: int, length: int | None, anchor: CanvasAnchor) -> None:
    request = Request("a", (5,) * prompt, max_tokens=answer, canvas_length=length)
    facts = spec(anchor)
    start = first_start(request, facts)
    assert prompt - grid_length(request, facts) < start <= prompt
    while start < total_length(request):
        last, end = start, canvas_end(request, facts, start)
        assert 0 < end - start <= grid_length(request, facts)
        start = end
    assert (last, start) == (last_start(request, facts), prompt + answer)


def test_an_autoregressive_canvas_has_one_position() -> None:
    request = Request("a", (5,) * 3, max_tokens=4, sampling=SamplingParameters(algorithm="autoregressive"))
    assert grid_of(request, spec("prompt", "causal")) == Grid(1, 1)


@pytest.mark.parametrize(("quota", "bound"), [("masks", 5), ("canvas", 8)])
def test_a_step_bound_is_never_above_what_there_is_to_settle(quota: str, bound: int) -> None:
    facts = replace(spec(), conventions=Conventions(quota=quota))  # type: ignore[arg-type]
    canvas = Canvas(0, 8, 16, opened=5)
    assert canvas.max_steps(Request("a", sampling=SamplingParameters(max_steps=99)), facts) == bound
    assert canvas.max_steps(Request("a", sampling=SamplingParameters(max_steps=3)), facts) == 3


def test_a_cache_is_refreshed_at_first_and_after_its_steps() -> None:
    canvas = Canvas(0, 8, 16, opened=8)
    assert needs_refresh(canvas, CacheParameters("dual"))
    canvas.refreshed, canvas.step = 0, 5
    assert not needs_refresh(canvas, CacheParameters("dual"))
    assert needs_refresh(canvas, CacheParameters("dual", refresh_every=5))


def test_a_window_stays_within_the_sequence() -> None:
    canvas = Canvas(0, 8, 16, opened=8)
    assert reuse_window(canvas, CacheParameters("prefix"), 40) == (8, 40)
    assert reuse_window(canvas, CacheParameters("dual"), 40) == (8, 16)
    assert reuse_window(canvas, CacheParameters("vicinity", before=20, after=4), 18) == (0, 18)
