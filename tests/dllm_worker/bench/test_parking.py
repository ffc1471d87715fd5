from __future__ import annotations

import pytest

from dllm_worker.bench import parking
from dllm_worker.bench.parking import Parked


@pytest.fixture(scope="module")
def rows() -> dict[str, Parked]:
    """At a size that takes a moment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"CANVAS": 32, "PROMPT": 32, "REQUESTS": 2, "STEPS": 3}.items():
            patch.setattr(parking, name, value)
        return {f"{row.model} {row.checkpoint}": row for row in parking.parking("float32", "cpu")}


def test_whole_checkpoints_go_on_with_the_same_tokens(rows: dict[str, Parked]) -> None:
    assert all(row.same_tokens == 1.0 for row in rows.values() if row.checkpoint == "whole")


def test_an_exact_cache_costs_its_prompt_and_an_approximate_one_its_passes(rows: dict[str, Parked]) -> None:
    assert rows["sdar whole"].more_position_forwards == 32
    assert rows["llada, dual cache whole"].more_position_forwards == 64 + 32


def test_a_lean_checkpoint_is_small_and_reads_the_canvas_once_more(rows: dict[str, Parked]) -> None:
    whole, lean = rows["diffusion_gemma whole"], rows["diffusion_gemma lean"]
    assert whole.bytes - lean.bytes >= 32 * 512 * 4
    assert lean.more_position_forwards == whole.more_position_forwards + 32
