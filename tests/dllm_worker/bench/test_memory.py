from __future__ import annotations

import torch

from dllm_worker.bench.memory import MEBIBYTE, Peak, peak_memory
from dllm_worker.models.loading import LoadedModel


def test_a_peak_outlives_what_caused_it(tiny_model: LoadedModel) -> None:
    peak = Peak(tiny_model)
    torch.ones(256 * MEBIBYTE, dtype=torch.uint8)
    assert 200 * MEBIBYTE < peak.growth() < 320 * MEBIBYTE, "but for what the process gives back meanwhile"


def test_each_size_is_measured_in_a_process_of_its_own() -> None:
    (row,) = peak_memory("bfloat16", "cpu", [(64, 32_768)])
    assert (row.canvas, row.vocabulary) == (64, 32_768)
    assert row.whole_logits_mebibytes == 8
    assert 0 < row.greedy_mebibytes < 256
    assert 0 < row.drawn_mebibytes < 512
    assert row.model_mebibytes > 2 * 512 * 32_768 / MEBIBYTE
