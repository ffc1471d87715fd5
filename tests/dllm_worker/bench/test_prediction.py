from __future__ import annotations

from dataclasses import replace

import pytest

from dllm_worker.bench import prediction
from dllm_worker.bench.prediction import ALTERNATIVES, prices, savings_of
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters


def test_a_right_guess_saves_steps_and_a_wrong_one_loses_none(tiny_model: LoadedModel) -> None:
    rows = {row.guess: row for row in savings_of(tiny_model, [(5, 6, 7), (8, 9)], "low_confidence")}
    assert list(rows) == ["none", "right", "half right", "wrong"]
    assert rows["none"].of_none == rows["none"].agreement == 1.0
    assert rows["right"].steps < rows["none"].steps
    assert rows["wrong"].steps <= rows["none"].steps


def test_every_price_is_compared_with_not_asking(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "fastest", lambda runs, repetitions, device: dict.fromkeys(runs, 0.5))
    request = Request("a", (5, 6), max_tokens=4, sampling=SamplingParameters("low_confidence"))
    rows = prices(tiny_model, [request, replace(request, id="b")])
    assert [row.alternatives for row in rows] == list(ALTERNATIVES)
    assert {(row.tokens_per_second, row.of_none) for row in rows} == {(16.0, 1.0)}
