from __future__ import annotations

import pytest
import torch

from dllm_worker.bench import ceilings
from dllm_worker.bench.ceilings import CeilingRuns, Ceilings
from dllm_worker.work import Work


def test_the_slower_ceiling_decides() -> None:
    machine = Ceilings(flops_per_second=100, bytes_per_second=10)
    assert machine.seconds(Work(400, 10)) == 4
    assert machine.seconds(Work(400, 80)) == 8
    assert (machine.bound(Work(400, 10)), machine.bound(Work(400, 80))) == ("compute", "memory")


def test_ceilings_are_the_best_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "PRODUCTS", {"cpu": ((2, 3, 4), (8, 3, 4))})
    monkeypatch.setattr(ceilings, "COPIED_BYTES", {"cpu": 64})
    machine = CeilingRuns(torch.float32, torch.device("cpu"))
    for run in machine.runs.values():
        run()
    seconds = {"product 2x3x4": 1.0, "product 8x3x4": 2.0, "copy": 4.0}
    assert machine.ceilings(seconds) == Ceilings(flops_per_second=2 * 8 * 3 * 4 / 2, bytes_per_second=2 * 64 / 4)
