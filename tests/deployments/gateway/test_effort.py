"""An effort is more or less of the model's own work, within what its algorithm reads and its client left open."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.gateway.diffusion import efforts_json
from deployments.gateway.effort import EFFORTS, FIELDS, AppliedEffort, Effort, adjustable, between, with_effort
from dllm_worker.capabilities import ALGORITHMS, reads
from dllm_worker.models.checkpoint import ModelDescription, describe, resolve_checkpoint
from dllm_worker.request import Algorithm, Request, SamplingParameters
from dllm_worker.validate import validate
from tests.deployments.gateway.scripted import UNIFORM, client, gateway, saying, spec

PROMPT = (5, 6, 7)


def request(max_tokens: int = 100, **sampling: Any) -> Request:
    return Request("a", prompt=PROMPT, max_tokens=max_tokens, sampling=SamplingParameters(**sampling))


def at(effort: Effort, asked: Request | None = None, chosen: frozenset[str] = frozenset(), **facts: Any) -> Any:
    return with_effort(asked or request(), effort, spec(**facts), chosen).sampling


def facts_of(algorithm: Algorithm) -> dict[str, Any]:
    if algorithm == "renoise":
        return UNIFORM
    causal = algorithm in ("linear_speculation", "autoregressive")
    return {"context_attention": "causal", "next_token": True} if causal else {}


def test_the_usual_effort_is_the_model_as_it_is() -> None:
    asked = request(threshold=0.3, max_steps=7)
    assert with_effort(asked, "medium", spec()) is asked


def test_doubt_multiplies_the_odds_against_a_token() -> None:
    assert [at(effort, request(threshold=0.9)).threshold for effort in EFFORTS] == [0.6923, 0.8182, 0.9, 0.9474]
    assert [at(effort, request(threshold=1.0)).threshold for effort in EFFORTS] == [1.0] * 4
    assert [at(effort, request(threshold=0.0)).threshold for effort in EFFORTS] == [0.0] * 4
    bounds = [at(effort, request(algorithm="entropy_bound", entropy_bound=0.1)).entropy_bound for effort in EFFORTS]
    assert bounds == [0.4, 0.2, 0.1, 0.05]
    assert [at(effort, request(algorithm="factor", factor=1.0)).factor for effort in EFFORTS] == [4.0, 2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("asked", "facts", "steps"),
    [
        (request(), {}, [8, 16, None, 32]),
        (request(max_tokens=10), {}, [3, 5, None, 10]),
        (request(max_steps=10), {}, [3, 5, 10, 20]),
        (request(max_steps=20), {}, [5, 10, 20, 32]),
        (request(quota=4), {}, [2, 4, None, 16]),
        (request(schedule="dream"), {}, [8, 16, None, 64]),
        (request(algorithm="renoise"), UNIFORM, [12, 24, None, 96]),
        (replace(request(), canvas_length=64), {}, [16, 32, None, 64]),
        (Request("a", template=(None, 5, None, None)), {}, [1, 2, None, 4]),
    ],
)
def test_the_step_bound_is_a_share_of_the_longest_canvas(
    asked: Request, facts: dict[str, Any], steps: list[int | None]
) -> None:
    assert [at(effort, asked, **facts).max_steps for effort in EFFORTS] == steps


def test_a_step_bound_takes_the_place_of_the_models_quota() -> None:
    assert [at(effort, request(quota=4)).quota for effort in EFFORTS] == [None, None, 4, None]


def test_what_the_client_chose_stays() -> None:
    chosen = at("instant", request(threshold=0.9), frozenset({"threshold"}))
    assert (chosen.threshold, chosen.max_steps) == (0.9, 8)
    paced = at("instant", request(quota=2), frozenset({"quota"}))
    assert (paced.quota, paced.max_steps) == (2, None)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("effort", EFFORTS)
def test_an_effort_changes_only_what_the_algorithm_reads(algorithm: Algorithm, effort: Effort) -> None:
    facts = facts_of(algorithm)
    asked = request(algorithm=algorithm)
    sampling = at(effort, asked, **facts)
    names = SamplingParameters.__slots__
    changed = {name for name in names if getattr(sampling, name) != getattr(asked.sampling, name)}
    assert changed <= adjustable(asked) == FIELDS & reads(algorithm)
    validate(with_effort(asked, effort, spec(**facts)), spec(**facts))


@settings(deadline=None)
@given(
    threshold=st.floats(0, 1),
    max_steps=st.integers(1, 4096) | st.none(),
    max_tokens=st.integers(1, 250),
    canvas=st.integers(1, 128),
    schedule=st.sampled_from(["linear", "dream"]),
)
def test_more_effort_never_accepts_more_nor_steps_less(
    threshold: float, max_steps: int | None, max_tokens: int, canvas: int, schedule: Any
) -> None:
    asked = replace(
        request(max_tokens, threshold=threshold, max_steps=max_steps, schedule=schedule), canvas_length=canvas
    )
    requests = [with_effort(asked, effort, spec()) for effort in EFFORTS]
    for sooner, later in pairwise(requests):
        assert sooner.sampling.threshold <= later.sampling.threshold + 1e-4
        assert sooner.sampling.max_steps is None or (sooner.sampling.max_steps <= (later.sampling.max_steps or 4096))
    for one in requests:
        validate(one, spec())


def test_efforts_between_two() -> None:
    assert between("high", "instant") == ("high", "medium", "low", "instant")
    assert between("low", "low") == ("low",)
    assert between("low", "high") == ("low",)


def test_an_applied_effort_says_what_changed_it() -> None:
    assert str(AppliedEffort("low")) == "low"
    assert str(AppliedEffort("high", "quality_floor")) == "high;because=quality_floor"


def test_each_effort_of_a_model_is_stated() -> None:
    code = describe(resolve_checkpoint("embedded:tiny-code"))
    assert efforts_json(code) == {
        "instant": {"confidence_threshold": 0.3684, "max_steps": 8},
        "low": {"confidence_threshold": 0.5385, "max_steps": 16},
        "medium": {"confidence_threshold": 0.7},
        "high": {"confidence_threshold": 0.8235, "max_steps": 32},
    }
    stepwise = ModelDescription(spec(**facts_of("autoregressive")), SamplingParameters("autoregressive"), "rev")
    assert efforts_json(stepwise) == {}


async def test_the_list_of_models_has_the_efforts() -> None:
    async with client(gateway(saying("hi"))) as http:
        listed = (await http.get("/v1/models/tiny")).json()
    assert list(listed["dllm"]["efforts"]) == list(EFFORTS)
