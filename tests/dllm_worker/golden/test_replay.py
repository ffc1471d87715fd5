"""The engine against the published decoders, case by case."""

from __future__ import annotations

import pytest

from dllm_worker.golden.families import SCENARIOS
from dllm_worker.golden.folders import read_folder
from dllm_worker.golden.verdicts import judge
from tests.dllm_worker.models.golden import folder, model

SOME = {
    "a2d_qwen3_bd3lm": ["low_confidence_right_shift", "low_confidence_unaligned_batch2", "cfg"],
    "diffusion_gemma": ["argmax_stability_2", "sampled_eos_mid_canvas"],
    "dream": ["origin", "confidence_threshold_full", "block_entropy_dual_cache"],
    "fast_dllm_v2": ["prompt_multiple_of_block", "stop_token_block_cache", "sampled_top_p"],
    "llada": ["llada_cfg", "fast_threshold_prefix_cache", "fast_factor_dual_cache"],
    "llada2": ["eos_early_stop_inside_block", "sampled_top_k_top_p"],
    "llada21": ["two_per_step", "post_steps_exhausted"],
    "nemotron_labs_diffusion": ["dlm_eos", "dlm_bidirectional_context", "linear_spec_threshold", "autoregressive"],
    "sdar": ["low_confidence_static_unaligned_prompt", "entropy_bounded", "sampled_top_k_top_p_dynamic"],
}
"""One or more of each loop of each family; the cases that need the fewest passes."""
NUMBER_OF_CASES = 85


def names(family: str) -> list[str]:
    return [case.text("name") for case in read_folder(folder(family)).cases]


EVERY = [(family, name) for family in SCENARIOS for name in names(family)]


def assert_identical(family: str, name: str) -> None:
    reference = read_folder(folder(family))
    case = next(case for case in reference.cases if case.text("name") == name)
    assert str(judge(reference, case, model(family))) == f"{family}/{name}: identical"


@pytest.mark.parametrize(("family", "name"), [(family, name) for family in SOME for name in SOME[family]])
def test_a_case_of_each_loop_is_identical(family: str, name: str) -> None:
    assert_identical(family, name)


@pytest.mark.full
@pytest.mark.parametrize(("family", "name"), EVERY)
def test_every_case_is_identical(family: str, name: str) -> None:
    assert_identical(family, name)


def test_every_family_has_its_cases() -> None:
    assert len(EVERY) == NUMBER_OF_CASES
    assert {family for family, _ in EVERY} == set(SOME)
