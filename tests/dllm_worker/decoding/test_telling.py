from __future__ import annotations

from dllm_worker.decoding.telling import hole_spans


def test_holes_are_runs() -> None:
    assert hole_spans((None, None, 4, None)) == [range(2), range(3, 4)]
    assert hole_spans((4, 4)) == []
