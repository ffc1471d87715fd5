from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.canvas import Canvas, Grid
from dllm_worker.decoding.passes import context_spans, needs_refresh, reuse_window
from dllm_worker.request import CacheParameters


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 8), st.integers(1, 60), st.integers(0, 70))
def test_the_context_is_cut_into_whole_blocks_up_to_the_limit(
    first: int, length: int, blocks: int, more: int, limit: int
) -> None:
    grid = Grid(first, length)
    start = 0 if blocks == 0 else first + (blocks - 1) * length
    stop = start + more
    spans = context_spans(grid, start, stop, limit, causal=False)
    edges = grid.edges(start, stop)
    fitting = max(1, sum(edge - start <= limit for edge in edges[1:]))
    assert [(span.start, span.stop) for span in spans] == list(itertools.pairwise(edges))[:fitting]


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
