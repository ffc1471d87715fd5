from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from dllm_worker import ranges
from dllm_worker.capabilities import (
    ALGORITHMS,
    CACHE_READS,
    READS,
    SCHEDULES,
    Capabilities,
    capabilities,
    reads,
    refusal,
)
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, CacheKind, CacheParameters, Event, Request, SamplingParameters
from dllm_worker.sampling.samplers import SAMPLERS
from dllm_worker.sampling.schedule import QUOTAS
from dllm_worker.spec import ModelSpec
from tests.dllm_worker.models import families

ABSORBING = ModelSpec(
    family="tiny",
    vocab_size=10,
    corruption="absorbing",
    mask_token_id=0,
    eos_token_ids=(1,),
    suppressed_token_ids=(0,),
    canvas_length=4,
    max_canvas_length=8,
    canvas_anchor="zero",
    context_attention="block_causal",
    max_position=64,
)
UNIFORM = replace(ABSORBING, corruption="uniform", mask_token_id=None, context_attention="causal", next_token=True)
CAUSAL = replace(ABSORBING, context_attention="causal", next_token=True)
SHIFTED = replace(ABSORBING, logit_shift=1)
BIDIRECTIONAL = replace(ABSORBING, context_attention="bidirectional")
NAMES = set(ALGORITHMS)
SPECIAL = {"renoise", "joint_threshold", "pipelined", "linear_speculation", "autoregressive"}


@pytest.mark.parametrize(
    ("spec", "runs"),
    [
        (ABSORBING, {"joint_threshold", "pipelined"}),
        (UNIFORM, {"renoise"}),
        (CAUSAL, {"joint_threshold", "linear_speculation", "autoregressive"}),
        (replace(ABSORBING, other_attentions=("causal",)), {"joint_threshold", "pipelined", "autoregressive"}),
        (SHIFTED, set()),
        (BIDIRECTIONAL, {"joint_threshold"}),
        (replace(ABSORBING, next_token=True), {"joint_threshold"}),
    ],
    ids=["block_causal", "uniform", "causal", "also_causal", "shifted", "bidirectional", "next_token"],
)
def test_a_model_runs_what_it_was_trained_for(spec: ModelSpec, runs: set[str]) -> None:
    able = {name for name in NAMES if refusal(name, spec) is None}
    assert able & SPECIAL == runs
    assert able - SPECIAL == (set() if spec is UNIFORM else NAMES - SPECIAL)


def test_a_refusal_names_what_is_missing() -> None:
    assert refusal("linear_speculation", ABSORBING) == (
        "algorithm 'linear_speculation' needs causal attention, which model family 'tiny' does not have"
    )
    assert refusal("low_confidence", UNIFORM) == (
        "algorithm 'low_confidence' needs a mask token, which model family 'tiny' does not have"
    )


def test_the_tables_are_complete() -> None:
    assert set(ALGORITHMS) == set(SAMPLERS) == set(READS)
    assert set(SCHEDULES) == set(QUOTAS)
    sampling = {field.name: field.default for field in fields(SamplingParameters)}
    assert frozenset().union(*READS.values()) == sampling.keys()
    assert frozenset().union(*CACHE_READS.values()) == {field.name for field in fields(CacheParameters)}
    numbers = {name for name, value in sampling.items() if not isinstance(value, str | bool)}
    assert numbers == ranges.SAMPLING.keys()


def test_what_the_gateway_asks_needs_no_torch() -> None:
    script = "import sys, dllm_worker.validate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_a_model_can_run() -> None:
    assert capabilities(UNIFORM) == Capabilities(
        ("renoise",), (), {"causal": ("none",)}, infill=True, guidance=False, prediction=("renoise",)
    )
    every = ("none", "prefix", "dual", "vicinity")
    both = capabilities(replace(ABSORBING, other_attentions=("bidirectional",)))
    assert (both.context_attentions, both.caches) == (
        ("block_causal", "bidirectional"),
        {"block_causal": ("none",), "bidirectional": every},
    )
    assert both.schedules == SCHEDULES
    assert capabilities(replace(ABSORBING, sub_canvas_length=2)).caches == {"block_causal": ("none", "dual")}


def test_in_a_template_an_end_of_sequence_ends_its_hole_only() -> None:
    assert all(reads(name, template=True) == READS[name] - {"eos"} for name in ALGORITHMS)


BASES = (
    SamplingParameters(
        max_steps=3, threshold=0.1, editing_threshold=0.5, temperature=1.5, eos="canvas", seed=3, entropy_bound=0.4
    ),
    SamplingParameters(max_steps=6, threshold=0.95, editing_threshold=0.2, entropy_bound=0.8, eos="ignore"),
)
HEATED = (
    SamplingParameters("renoise", max_steps=6, entropy_bound=0.4, entropy_exit=2.0, stability=0),
    SamplingParameters("renoise", max_steps=4, entropy_bound=9.0, eos="ignore"),
)
CHANGES: dict[str, tuple[Any, ...]] = {
    "max_steps": (1, 7),
    "schedule": ("cosine", "dream"),
    "quota": (2, 5),
    "threshold": (0.01, 0.9),
    "editing_threshold": (0.01, 0.9),
    "max_post_steps": (0,),
    "factor": (0.5, 3.0),
    "entropy_bound": (0.0, 6.0),
    "entropy_exit": (0.0, 9.0),
    "gap_exit": (0.01, 0.1),
    "stability": (0, 3),
    "t_min": (0.1, 0.75),
    "t_max": (0.5, 1.9),
    "open_share": (0.5, 1.0),
    "force_share": (0.05, 0.5),
    "guidance": (0.5, 3.0),
    "leftmost_eos": (True,),
    "eos": ("prefix", "ignore"),
    "temperature": (0.0, 0.5),
    "top_p": (0.02, 0.5),
    "top_k": (1, 3),
    "seed": (1, 2),
}
"""Other values of each parameter, one of which makes a difference where the parameter is read."""

REFUSED = {("renoise", "guidance"), ("renoise", "temperature"), ("linear_speculation", "guidance")}
"""What the engine refuses with its own reason."""

SPECIAL_MODELS: dict[Algorithm, str] = {
    "joint_threshold": "sdar",
    "renoise": "diffusion_gemma",
    "linear_speculation": "nemotron_labs_diffusion",
    "autoregressive": "nemotron_labs_diffusion",
}
"""Families of those that the usual one cannot run, or not in an interesting way."""

PROMPTS = ((5, 6, 7, 8), tuple(range(9, 20)))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    """Models that often end a sequence."""
    loaded = {}
    for name in {"a2d-qwen3", *SPECIAL_MODELS.values()}:
        model = load_model(families.write(tmp_path_factory.mktemp(name), families.CONFIGS[name]))
        spec = replace(model.spec, eos_token_ids=tuple(range(0, families.MASK, 2)))
        loaded[name] = replace(model, description=replace(model.description, spec=spec))
    return loaded


def told(model: LoadedModel, sampling: SamplingParameters, cache: CacheParameters | None = None) -> list[Event]:
    """Every event of two continuations, drafts and usage included."""
    length = 1 if sampling.algorithm == "autoregressive" else 8
    tokens = 8 if sampling.algorithm == "linear_speculation" else 22
    engine = Engine(model)
    for number, prompt in enumerate(PROMPTS):
        asked = Request(str(number), prompt, max_tokens=tokens, canvas_length=length, sampling=sampling, drafts=True)
        engine.add(asked if cache is None else replace(asked, cache=cache))
    events: list[Event] = []
    while engine.has_work:
        events += engine.step()
    return events


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_reads_its_parameters_and_no_other(algorithm: Algorithm, models: dict[str, LoadedModel]) -> None:
    model = models[SPECIAL_MODELS.get(algorithm, "a2d-qwen3")]
    bases = [replace(base, algorithm=algorithm) for base in (HEATED if algorithm == "renoise" else BASES)]
    expected = [told(model, base) for base in bases]
    for name, values in CHANGES.items():
        if (algorithm, name) not in REFUSED:
            read = name in READS[algorithm]
            tried = values if read else values[-1:]
            changed = ([told(model, replace(base, **{name: value})) for base in bases] for value in tried)
            assert any(events != expected for events in changed) is read, name


@pytest.mark.parametrize("kind", CACHE_READS)
def test_a_cache_reads_its_parameters_and_no_other(kind: CacheKind, sequence_model: LoadedModel) -> None:
    sampling = SamplingParameters("low_confidence")
    base = CacheParameters(kind, refresh_every=8, before=2, after=2)
    expected = told(sequence_model, sampling, base)
    changes: dict[str, Any] = {"refresh_every": 2, "before": 6, "after": 6}
    for name, value in changes.items():
        differs = told(sequence_model, sampling, replace(base, **{name: value})) != expected
        assert differs is (name in CACHE_READS[kind]), name
