"""What a request gets that states nothing: the family's own decoder, and what a checkpoint says over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dllm_worker.models.checkpoint import LoadError, ModelDescription, describe
from dllm_worker.request import CacheParameters, Request, SamplingParameters
from dllm_worker.validate import validate
from tests.dllm_worker.models.families import CONFIGS


def described(path: Path, family: str, **generation: Any) -> ModelDescription:
    (path / "config.json").write_text(json.dumps(CONFIGS[family]))
    (path / "generation_config.json").write_text(json.dumps(generation))
    return describe(path)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("llada", SamplingParameters(algorithm="low_confidence")),
        ("Dream", SamplingParameters(algorithm="low_entropy", schedule="dream", temperature=0.2, top_p=0.95)),
        ("llada2_moe", SamplingParameters(algorithm="quota_threshold", threshold=0.95)),
        ("sdar", SamplingParameters(algorithm="quota_threshold", threshold=0.85, temperature=1.0)),
        ("a2d-qwen3", SamplingParameters(algorithm="low_confidence", schedule="rounded")),
        ("Fast_dLLM_Qwen", SamplingParameters(threshold=0.9, top_p=0.95)),
        ("nemotron_labs_diffusion", SamplingParameters(threshold=0.9)),
        (
            "diffusion_gemma",
            SamplingParameters(algorithm="renoise", max_steps=48, entropy_exit=0.005, eos="canvas"),
        ),
    ],
)
def test_a_family_decodes_as_its_authors_do(family: str, expected: SamplingParameters, tmp_path: Path) -> None:
    description = described(tmp_path, family)
    assert (description.defaults, description.cache) == (expected, CacheParameters())


@pytest.mark.parametrize("family", CONFIGS)
def test_a_family_can_run_what_it_does_of_itself(family: str, tmp_path: Path) -> None:
    description = described(tmp_path, family)
    request = Request("a", (5, 6), max_tokens=9, sampling=description.defaults, cache=description.cache)
    validate(request, description.spec)


def test_what_the_checkpoint_states_wins_and_null_states_nothing(tmp_path: Path) -> None:
    stated = {"temperature": 0, "top_k": None, "max_new_tokens": 9, "_from_model_config": True}
    defaults = described(tmp_path, "sdar", **stated).defaults
    assert defaults == SamplingParameters(algorithm="quota_threshold", threshold=0.85, temperature=0.0)
    assert type(defaults.temperature) is float


def test_diffusion_gemmas_own_names_are_understood(tmp_path: Path) -> None:
    stated = {
        "max_denoising_steps": 12,
        "sampler_config": {"_cls_name": "EntropyBoundSamplerConfig", "entropy_bound": 0.3},
        "stability_threshold": 2,
        "confidence_threshold": 0.01,
        "t_min": 0.1,
        "t_max": 0.9,
    }
    found = described(tmp_path, "diffusion_gemma", **stated).defaults
    assert (found.algorithm, found.max_steps, found.entropy_bound, found.stability) == ("renoise", 12, 0.3, 2)
    assert (found.entropy_exit, found.t_min, found.t_max) == (0.01, 0.1, 0.9)


def test_those_names_mean_nothing_to_other_families(tmp_path: Path) -> None:
    found = described(tmp_path, "llada", max_denoising_steps=12, confidence_threshold=0.01).defaults
    assert found == SamplingParameters(algorithm="low_confidence")


def test_the_reuse_of_keys_and_values_may_be_stated(tmp_path: Path) -> None:
    description = described(tmp_path, "Dream", cache={"kind": "vicinity", "refresh_every": 4, "after": None})
    assert description.cache == CacheParameters("vicinity", refresh_every=4)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"algorithm": "beam_search"}, "algorithm is 'beam_search'; there are low_confidence, "),
        ({"algorithm": ["random"]}, r"algorithm is \['random'\]; there are"),
        ({"schedule": 3}, "schedule is 3; there are linear"),
        ({"threshold": "0.9"}, "threshold is '0.9'; it has to be of type float"),
        ({"threshold": True}, "threshold is True; it has to be of type float"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"temperature": 10**400}, "temperature is 1000.*; it has to be of type float"),
        ({"max_steps": 4.0}, "max_steps is 4.0; it has to be of type int"),
        ({"top_k": True}, "top_k is True; it has to be of type int"),
        ({"leftmost_eos": 1}, "leftmost_eos is 1; it has to be of type bool"),
        ({"temperature": -0.5}, "temperature is -0.5; it has to be at least 0 and at most 2"),
        ({"max_denoising_steps": 0}, "max_denoising_steps is 0; it has to be at least 1"),
        ({"cache": {"before": -1}}, "cache.before is -1; it has to be at least 0"),
        ({"max_denoising_steps": "many"}, "max_denoising_steps is 'many'"),
        ({"sampler_config": {"entropy_bound": "low"}}, "sampler_config.entropy_bound is 'low'"),
        ({"sampler_config": 3}, "sampler_config is 3; it has to be an object"),
        ({"cache": "dual"}, "cache is 'dual'; it has to be an object"),
        ({"cache": {"kind": "paged"}}, "cache.kind is 'paged'; there are none, prefix, dual, vicinity"),
        ({"eos_token_id": "</s>"}, "eos_token_id is '</s>'"),
    ],
)
def test_a_value_of_another_kind_is_named(stated: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=message):
        described(tmp_path, "diffusion_gemma", **stated)


@pytest.mark.parametrize(
    ("family", "stated", "message"),
    [
        ("sdar", {"algorithm": "renoise"}, "needs uniform corruption"),
        ("diffusion_gemma", {"algorithm": "low_confidence"}, "needs a mask token"),
        ("diffusion_gemma", {"temperature": 0.7}, "heated by t_min and t_max"),
    ],
)
def test_a_default_that_the_model_cannot_run_is_named(
    family: str, stated: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LoadError, match=f"generation_config.json: .*{message}"):
        described(tmp_path, family, **stated)
