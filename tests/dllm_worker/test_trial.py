from __future__ import annotations

import pytest

from dllm_worker import peak
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.trial import trial_of


def test_its_engine_is_one_for_the_crowd_alone(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "PRODUCTS", {"cpu": ((32, 32, 32),)})
    trial = trial_of(tiny_model, EngineLimits(max_running=2, cache_positions=1 << 20), 8, seconds=0.0)
    assert trial.engine.stats().pages * 32 == trial.crowd.limits.cache_positions == 2 * 64
    assert trial.peak > 0
    assert trial.plateau(seconds=0.0) > 0
