from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.canvas import Grid
from dllm_worker.decoding.passes import context_spans


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
