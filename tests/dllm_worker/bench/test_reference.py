"""The plain loop and the engine share the network only, so agreement means that both decode as they should."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dllm_worker.bench.answering import answer
from dllm_worker.bench.reference import continue_prompt
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters


@pytest.mark.parametrize("prompt", [(), (5, 6, 7), tuple(range(2, 22))])
@pytest.mark.parametrize("threshold", [0.02, 0.9])
def test_the_engine_answers_as_the_plain_loop(tiny_model: LoadedModel, prompt: Sequence[int], threshold: float) -> None:
    sampling = SamplingParameters(threshold=threshold, eos="ignore")
    request = Request("0", tuple(prompt), max_tokens=21, sampling=sampling)
    assert answer(tiny_model, [request]).tokens["0"] == continue_prompt(tiny_model, prompt, 21, threshold)
