from __future__ import annotations

import pytest

from dllm_worker.bench import determinism
from dllm_worker.bench.shapes import QWEN3

SMALL = QWEN3 | {
    "model_type": "sdar",
    "block_size": 8,
    "vocab_size": 96,
    "mask_token_id": 95,
    "eos_token_id": 94,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}


def test_both_ways_are_timed_at_every_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(determinism, "LARGE", SMALL)
    monkeypatch.setattr(determinism, "REPETITIONS", 1)
    prices = determinism.determinism("bfloat16", "cpu")
    assert [price.rows for price in prices] == list(determinism.ROWS)
    assert all(p.ratio == p.deterministic_milliseconds / p.milliseconds for p in prices)
