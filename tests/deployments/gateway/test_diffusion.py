"""What clients may ask of the denoising, against what the engine takes and reads."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.errors import InvalidRequest, ServingError, UnsupportedParameter
from deployments.gateway.diffusion import OPENAI, RENAMED, api_name, defaults_json
from deployments.gateway.plan import Planner
from deployments.gateway.schema import CompletionBody, Diffusion, InfillBody
from dllm_worker import ranges
from dllm_worker.capabilities import ALGORITHMS, EXITS, READS
from dllm_worker.models.checkpoint import ModelDescription, describe, resolve_checkpoint
from dllm_worker.request import Algorithm, CacheParameters, Request, RequestError, SamplingParameters
from dllm_worker.validate import validate
from tests.deployments.gateway.scripted import BIDIRECTIONAL, UNIFORM, byte_text, client, gateway, saying, spec

SAMPLING = [field.name for field in fields(SamplingParameters)]
EXAMPLES: dict[str, Any] = {
    "algorithm": "low_confidence",
    "schedule": "cosine",
    "leftmost_eos": True,
    "eos": "canvas",
    "max_steps": 5,
    "quota": 3,
    "max_post_steps": 2,
    "stability": 2,
    "top_k": 5,
    "seed": 12,
}
"""A value of each parameter that is not its default; of all others 0.625."""

RENOISE = SamplingParameters("renoise", max_steps=48, entropy_exit=0.005)
PROBES = (-1, 0, 1, 2, 20, 21, 1 << 16, (1 << 16) + 1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1)
FRACTIONS = (-1e-9, 1e-300, 1e-9, 0.5, 1.0 + 1e-9, 2.0 + 1e-9, 20.5, 1e300)


def body(parameter: str, value: Any, **others: Any) -> dict[str, Any]:
    """A completion which states one parameter by its engine's name."""
    stated = {"model": "tiny", "prompt": "hi", "diffusion": others}
    if parameter in OPENAI:
        return stated | {parameter: value}
    return stated | {"diffusion": others | {RENAMED.get(parameter, parameter): value}}


def plan(
    fields: dict[str, Any],
    defaults: SamplingParameters | None = None,
    cache: CacheParameters | None = None,
    **facts: Any,
) -> Request:
    description = ModelDescription(spec(**facts), defaults or SamplingParameters(), "rev", cache or CacheParameters())
    planner = Planner(description, byte_text(), 100, "id", 0, "salt")
    fields = {"model": "tiny", **fields}
    if "template" in fields:
        return planner.infill(InfillBody.model_validate(fields)).request
    return planner.completion(CompletionBody.model_validate({"prompt": "hi", **fields})).request


def facts_of(algorithm: Algorithm) -> dict[str, Any]:
    """Those of a model that runs ``algorithm``."""
    if algorithm == "renoise":
        return UNIFORM
    causal = algorithm in ("linear_speculation", "autoregressive")
    return {"context_attention": "causal", "next_token": True} if causal else {}


def default_of(algorithm: Algorithm) -> SamplingParameters:
    return replace(SamplingParameters(), algorithm=algorithm)


def test_every_parameter_of_the_engine_has_a_name_in_the_api() -> None:
    assert {RENAMED.get(name, name) for name in SAMPLING if name not in OPENAI} <= Diffusion.model_fields.keys()
    assert api_name("threshold") == "diffusion.confidence_threshold"
    assert (api_name("seed"), api_name("before"), api_name("max_tokens")) == (
        "seed",
        "diffusion.cache.before",
        "max_tokens",
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_an_algorithm_reads_is_taken_and_the_rest_is_refused_by_name(algorithm: Algorithm) -> None:
    for name in SAMPLING:
        if name == "algorithm" or (name == "temperature" and algorithm == "renoise"):
            continue
        value = EXAMPLES.get(name, 0.0 if name == "guidance" else 0.625)
        sent = body(name, value, algorithm=algorithm)
        if name in READS[algorithm]:
            request = plan(sent, default_of(algorithm), **facts_of(algorithm))
            assert getattr(request.sampling, name) == value
        else:
            with pytest.raises(UnsupportedParameter, match=algorithm) as refusal:
                plan(sent, default_of(algorithm), **facts_of(algorithm))
            assert refusal.value.parameter == api_name(name)


@pytest.mark.parametrize("name", ranges.SAMPLING)
def test_the_api_takes_the_numbers_that_the_engine_takes(name: str) -> None:
    whole = isinstance(getattr(SamplingParameters(), name), int) or name in ("max_steps", "quota")
    reader: Algorithm = next(algorithm for algorithm in ALGORITHMS if name in READS[algorithm])
    uniform = reader == "renoise"
    base = RENOISE if uniform else SamplingParameters(reader)
    if name == "t_max":
        base = replace(base, t_min=1e-300)
    elif name == "t_min":
        base = replace(base, t_max=2.0)
    for value in PROBES if whole else (*PROBES, *FRACTIONS):
        changed: dict[str, Any] = {name: value}
        sampling = replace(base, **changed)
        assert is_taken(body(name, value)) is is_valid(Request("a", (5,), max_tokens=4, sampling=sampling), uniform)


def is_taken(fields: dict[str, Any]) -> bool:
    try:
        CompletionBody.model_validate(fields)
    except ValidationError:
        return False
    return True


def is_valid(request: Request, uniform: bool) -> bool:
    try:
        validate(request, spec(**UNIFORM) if uniform else spec())
    except RequestError:
        return False
    return True


@pytest.mark.parametrize("name", ranges.CACHE)
def test_the_api_takes_the_caches_that_the_engine_takes(name: str) -> None:
    for value in PROBES:
        sent = {"model": "tiny", "prompt": "hi", "diffusion": {"cache": {name: value}}}
        cache = CacheParameters("vicinity", **{name: value})
        try:
            validate(Request("a", (5,), max_tokens=4, cache=cache), spec(**BIDIRECTIONAL))
        except RequestError:
            assert not is_taken(sent)
        else:
            assert is_taken(sent)


LLADA = {"diffusion": {"cache": {"kind": "vicinity", "refresh_every": 4, "before": 2, "after": 0}}}


def test_an_approximate_cache_is_the_clients_or_the_models() -> None:
    chosen = plan(LLADA, **BIDIRECTIONAL)
    assert chosen.cache == CacheParameters("vicinity", refresh_every=4, before=2, after=0)
    dual = CacheParameters("dual", refresh_every=9)
    assert plan({}, cache=dual, **BIDIRECTIONAL).cache == dual
    assert plan({"diffusion": {"cache": {"kind": "none"}}}, cache=dual, **BIDIRECTIONAL).cache.kind == "none"
    causal = {"diffusion": {"algorithm": "autoregressive"}}
    assert plan(causal, cache=dual, other_attentions=("causal",), **BIDIRECTIONAL).cache == CacheParameters()


def test_a_quota_takes_the_place_of_the_steps() -> None:
    paced = SamplingParameters("low_confidence", quota=4)
    assert plan({}, paced).sampling.quota == 4
    assert plan({"diffusion": {"max_steps": 3}}, paced).sampling == replace(paced, quota=None, max_steps=3)


@pytest.mark.parametrize("template", [False, True])
def test_one_temperature_is_that_of_every_step_of_a_model_that_cools_down(template: bool) -> None:
    text = {"template": "a{{hole}}"} if template else {}
    sampling = plan({**text, "temperature": 0.6}, RENOISE, **UNIFORM).sampling
    assert (sampling.t_min, sampling.t_max, sampling.temperature) == (0.6, 0.6, 0.0)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], type[ServingError], str, str]] = [
    (
        {"diffusion": {"algorithm": "renoise"}},
        {},
        UnsupportedParameter,
        "diffusion.algorithm",
        "it runs low_confidence,",
    ),
    ({"diffusion": {"algorithm": "leftmost"}}, UNIFORM, UnsupportedParameter, "diffusion.algorithm", "it runs renoise"),
    ({"temperature": 0}, UNIFORM, UnsupportedParameter, "temperature", "entropy"),
    ({"temperature": 1, "diffusion": {"t_min": 0.5}}, UNIFORM, InvalidRequest, "temperature", "diffusion.t_min"),
    ({"diffusion": {"t_min": 1.5}}, UNIFORM, InvalidRequest, "diffusion.t_min", "above t_max 0.8"),
    ({"diffusion": {"guidance": 1}}, UNIFORM, UnsupportedParameter, "diffusion.guidance", "masks"),
    ({"diffusion": {"quota": 2, "max_steps": 2}}, {}, InvalidRequest, "diffusion.quota", "max_steps"),
    ({"diffusion": {"quota": 2, "schedule": "even"}}, {}, InvalidRequest, "diffusion.quota", "schedule"),
    (
        {"diffusion": {"context_attention": "causal"}},
        {},
        UnsupportedParameter,
        "diffusion.context_attention",
        "block_causal",
    ),
    (
        {"diffusion": {"algorithm": "autoregressive", "context_attention": "block_causal"}},
        {"other_attentions": ("causal",)},
        UnsupportedParameter,
        "diffusion.context_attention",
        "causal",
    ),
    (
        {"diffusion": {"algorithm": "pipelined", "context_attention": "bidirectional"}},
        {"other_attentions": ("bidirectional",)},
        UnsupportedParameter,
        "diffusion.context_attention",
        "block_causal",
    ),
    (
        {"diffusion": {"algorithm": "autoregressive", "block_length": 4}},
        {"other_attentions": ("causal",)},
        UnsupportedParameter,
        "diffusion.block_length",
        "one position",
    ),
    ({"diffusion": {"cache": {"kind": "dual"}}}, {}, UnsupportedParameter, "diffusion.cache.kind", "none"),
    ({"diffusion": {"cache": {"before": 3}}}, {}, UnsupportedParameter, "diffusion.cache.before", "kind"),
    (
        {"diffusion": {"cache": {"kind": "prefix", "after": 3}}},
        BIDIRECTIONAL,
        UnsupportedParameter,
        "diffusion.cache.after",
        "refresh_every",
    ),
    (
        {"diffusion": {"cache": {"kind": "dual", "refresh_every": 3}}},
        {"sub_canvas_length": 8},
        UnsupportedParameter,
        "diffusion.cache.refresh_every",
        "kind",
    ),
    ({"template": "a{{hole}}", "diffusion": {"eos": "canvas"}}, {}, UnsupportedParameter, "diffusion.eos", "template"),
    (
        {"template": "a{{hole}}", "diffusion": {"algorithm": "pipelined"}},
        {},
        UnsupportedParameter,
        "diffusion.algorithm",
        "template",
    ),
]


@pytest.mark.parametrize(("sent", "facts", "error", "parameter", "reason"), REFUSED)
def test_what_does_not_apply_is_refused_with_its_reason(
    sent: dict[str, Any], facts: dict[str, Any], error: type[ServingError], parameter: str, reason: str
) -> None:
    with pytest.raises(error, match=reason) as refusal:
        plan(sent, RENOISE if facts is UNIFORM else None, **facts)
    assert type(refusal.value) is error
    assert refusal.value.parameter == parameter


@pytest.mark.parametrize(
    ("diffusion", "parameter"),
    [
        ({"cache": {"wild": 1}}, "diffusion.cache.wild"),
        ({"cache": {"kind": "magic"}}, "diffusion.cache.kind"),
        ({"seed_canvas": "x"}, "diffusion.seed_canvas"),
        ({"algorithm": "renoise"}, "diffusion.algorithm"),
        ({"editing_threshold": 0.5}, "diffusion.editing_threshold"),
        ({"stability": 10**30}, "diffusion.stability"),
        ({"top_k": 2**40}, "diffusion.top_k"),
    ],
)
async def test_the_client_is_told_which_parameter(diffusion: dict[str, Any], parameter: str) -> None:
    async with client(gateway(saying("never"))) as http:
        sent = {"model": "tiny", "prompt": "hi", "diffusion": diffusion}
        response = await http.post("/v1/completions", json=sent)
    assert (response.status_code, response.json()["error"]["param"]) == (400, parameter)


@pytest.mark.parametrize("name", ["tiny-code", "tiny-sudoku"])
def test_a_body_that_states_the_defaults_asks_for_what_an_empty_one_does(name: str) -> None:
    description = describe(resolve_checkpoint(f"embedded:{name}"))
    planner = Planner(description, byte_text(), 100, "id", 0)
    sent = {"model": name, "prompt": [3], "max_tokens": 4}
    plain, stated = (CompletionBody.model_validate(sent | more) for more in ({}, defaults_json(description)))
    assert planner.completion(plain) == planner.completion(stated)


@pytest.mark.parametrize(
    ("defaults", "cache", "facts"),
    [
        (RENOISE, CacheParameters(), UNIFORM),
        (SamplingParameters("low_confidence", quota=3), CacheParameters("dual", refresh_every=4), BIDIRECTIONAL),
        (SamplingParameters("joint_threshold", temperature=0.5), CacheParameters(), {}),
    ],
)
def test_the_stated_defaults_can_be_sent(
    defaults: SamplingParameters, cache: CacheParameters, facts: dict[str, Any]
) -> None:
    stated = defaults_json(ModelDescription(spec(**facts), defaults, "rev", cache))
    assert plan(stated, defaults, cache, **facts) == plan({}, defaults, cache, **facts)


def test_the_guide_says_what_each_algorithm_reads() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "decoding.md").read_text()
    table = guide.split("## What each algorithm reads")[1].split("*pace*")[0]
    head, *rows = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    groups = {"pace": {"max_steps", "schedule", "quota"}, "exits": EXITS | {"temperature"}}
    stated: dict[str, set[str]] = {}
    for algorithms, parameters in rows:
        names = set(re.findall(r"`(\w+)`", f"{head[1]} {parameters}"))
        names = names.union(*(group for word, group in groups.items() if word in parameters))
        stated |= dict.fromkeys(re.findall(r"`(\w+)`", algorithms), names)
    assert stated == {
        algorithm: {RENAMED.get(name, name) for name in READS[algorithm] - {"algorithm"}} for algorithm in ALGORITHMS
    }
