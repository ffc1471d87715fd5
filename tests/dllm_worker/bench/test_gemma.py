from __future__ import annotations

from typing import Any

import pytest

from dllm_worker.bench import gemma
from dllm_worker.bench.gemma import TEXT, against_transformers

TINY: dict[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "global_head_dim": 16,
    "num_global_key_value_heads": 1,
    "moe_intermediate_size": 16,
    "sliding_window": 16,
}


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")
def test_both_answer_the_same_prompts_in_as_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"TEXT": TEXT | TINY, "VOCABULARY": 128, "CANVAS": 8, "PROMPT_TOKENS": 5, "STEPS": 2, "CONCURRENCY": (1, 2)}
    for name, value in sizes.items():
        monkeypatch.setattr(gemma, name, value)
    rows = against_transformers("float32", "cpu")
    assert [row.requests for row in rows] == [1, 2]
    for row in rows:
        ratio = row.engine_tokens_per_second / row.transformers_tokens_per_second
        assert row.engine_over_transformers == pytest.approx(ratio)
