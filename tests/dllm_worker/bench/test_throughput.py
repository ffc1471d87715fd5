from __future__ import annotations

import pytest

from dllm_worker.bench import ceilings, throughput
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters


def test_rows_are_the_plain_loop_and_every_crowd(tiny_model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "PRODUCTS", {"cpu": ((32, 32, 32),)})
    monkeypatch.setattr(ceilings, "COPIED_BYTES", {"cpu": 1024})
    monkeypatch.setattr(throughput, "REPETITIONS", 1)
    request = Request("0", (5, 6), max_tokens=6, sampling=SamplingParameters(eos="ignore"))
    loop, one, two = throughput.measure(tiny_model, {"diffusion": request}, (1, 2))
    assert (loop.decoder, one.decoder, two.decoder) == ("plain loop", "diffusion", "diffusion")
    assert (one.requests, two.requests) == (1, 2)
    assert one.over_one == 1.0
    assert two.over_one == pytest.approx(two.tokens_per_second / one.tokens_per_second)
    assert two.over_plain_loop == pytest.approx(two.tokens_per_second / loop.tokens_per_second)
    assert one.equal_answers == two.equal_answers == 1.0
