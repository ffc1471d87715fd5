"""No request costs more than what is foretold as the most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dllm_worker.bound import most_work
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.spec import ModelSpec
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import finish, run
from tests.dllm_worker.test_families import requests


@pytest.fixture(scope="module", params=families.CONFIGS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    return load_model(families.write(path, families.CONFIGS[request.param]))


def stubborn(request: Request, spec: ModelSpec, threshold: float, max_steps: int | None) -> Request:
    """``request`` without an early end."""
    uniform = spec.corruption == "uniform"
    changed = replace(
        request.sampling,
        threshold=threshold,
        editing_threshold=threshold,
        max_steps=max_steps or (16 if uniform else None),
        eos="ignore" if request.template is None else "prefix",
        entropy_exit=0.1 if uniform else None,
    )
    return replace(request, sampling=changed)


@pytest.mark.parametrize(("threshold", "max_steps"), [(0.0, 40), (0.3, 3), (1.0, 3), (1.0, None)])
def test_the_most_that_a_request_can_cost_is_known(model: LoadedModel, threshold: float, max_steps: int | None) -> None:
    asked = [stubborn(request, model.spec, threshold, max_steps) for request in requests(model.spec)]
    told = run(model, asked, EngineLimits(position_budget=160, cache_positions=2048))
    for request in asked:
        assert finish(told[request.id]).usage.position_forwards <= most_work(request, model.spec), request.id


def test_a_schedule_leaves_nothing_open(sequence_model: LoadedModel) -> None:
    sampling = SamplingParameters("low_confidence", max_steps=4, eos="ignore")
    request = Request("a", tuple(range(3, 24)), max_tokens=40, canvas_length=8, sampling=sampling)
    told = run(sequence_model, [request])
    assert finish(told["a"]).usage.position_forwards == most_work(request, sequence_model.spec)
