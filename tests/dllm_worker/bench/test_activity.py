from __future__ import annotations

import pytest

from dllm_worker import peak
from dllm_worker.bench import activity
from dllm_worker.bench.activity import measure
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel


def test_an_engine_is_measured_by_the_number_of_its_requests(
    tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peak, "PRODUCTS", {"cpu": ((32, 32, 32),)})
    monkeypatch.setattr(activity, "PEAK_SECONDS", 0.0)
    rows = measure("tiny", tiny_model, 0.0, EngineLimits(max_running=6))
    assert [row.requests for row in rows] == [1, 4, 6]
    assert [row.positions_per_step for row in rows] == sorted({row.positions_per_step for row in rows})
    assert rows[-1].load == 1.0
    for row in rows:
        assert row.load == pytest.approx(row.activity / rows[-1].activity)
        assert 0 < row.accounting_percent < 100
