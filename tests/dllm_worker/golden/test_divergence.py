"""A record that says something else is told apart, at the step where it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dllm_worker.golden.verdicts import verdicts
from tests.dllm_worker.golden.copies import Json, copy_of


def test_an_unchanged_copy_is_identical(tmp_path: Path) -> None:
    path = copy_of("sdar", tmp_path, "sequential", lambda case: None)
    assert [str(verdict) for verdict in verdicts(path)] == ["sdar/sequential: identical"]


def shifted(key: str, index: int, by: float) -> Callable[[Json], None]:
    """Add ``by`` to the number ``index`` of the list ``key`` of a record."""

    def change(record: Json) -> None:
        record[key][index] += by

    return change


CHANGES: list[tuple[str, str, int, Callable[[Json], object], str]] = [
    ("sdar", "sequential", 5, shifted("block_after", 0, 1), "tokens after it"),
    ("sdar", "sequential", 5, shifted("confidence", 1, 2e-4), "confidence"),
    ("sdar", "sequential", 5, shifted("proposed", 1, 1), "proposed"),
    ("sdar", "sequential", 5, lambda step: step.update(quota=1), "quota"),
    ("sdar", "entropy_bounded", 4, shifted("entropy", 0, -2e-4), "entropy"),
    ("llada", "fast_factor_dual_cache", 3, lambda step: step.update(forward="full"), "kind"),
    ("llada", "fast_factor_dual_cache", 3, shifted("input_range", 1, 1), "computed"),
    ("llada", "fast_factor_dual_cache", 3, lambda step: step["committed"].reverse(), "committed"),
    ("llada21", "two_per_step", 2, lambda step: step["edited"].pop(), "edited"),
    ("llada21", "two_per_step", 2, shifted("edit_candidate_confidence", 1, 1e-3), "confidence"),
    ("fast_dllm_v2", "prompt_multiple_of_block", 0, lambda step: step.update(next_token=1), "proposed"),
    ("nemotron_labs_diffusion", "linear_spec_threshold", 10, shifted("input_ids", 1, 1), "before"),
    ("nemotron_labs_diffusion", "linear_spec_threshold", 12, shifted("accepted_tokens", 1, 1), "proposed"),
]


@pytest.mark.parametrize(("family", "name", "step", "change", "what"), CHANGES)
def test_the_step_that_differs_is_named(
    tmp_path: Path, family: str, name: str, step: int, change: Callable[[Json], object], what: str
) -> None:
    path = copy_of(family, tmp_path, name, lambda case: change(case["steps"][step]))
    assert f"{family}/{name}: steps[{step}]: {what} " in str(*verdicts(path)).replace("cases[0].", "")


def test_a_margin_that_differs_is_named(tmp_path: Path) -> None:
    path = copy_of("dream", tmp_path, "topk_margin", lambda case: shifted("confidence", 2, 1e-3)(case["steps_log"][1]))
    assert "steps_log[1]: margin " in str(*verdicts(path))


def test_a_canvas_that_differs_is_named(tmp_path: Path) -> None:
    change = shifted("argmax_canvas", 3, 1)
    path = copy_of(
        "diffusion_gemma", tmp_path, "argmax_max_steps", lambda case: change(case["canvases"][1]["steps"][2])
    )
    assert "canvases[1].steps[2]: argmax " in str(*verdicts(path))


def test_a_row_that_differs_is_named(tmp_path: Path) -> None:
    change = shifted("confidence", 0, 1e-3)
    path = copy_of(
        "a2d_qwen3_bd3lm",
        tmp_path,
        "low_confidence_unaligned_batch2",
        lambda case: change(case["steps"][2]["rows"][1]),
    )
    assert "steps[2].rows[1]: confidence " in str(*verdicts(path))


OUTCOMES: list[tuple[str, str, Callable[[Json], object], str]] = [
    ("sdar", "sequential", lambda case: case["steps"].pop(4), "steps[4]: eligible "),
    ("sdar", "sequential", lambda case: case["steps"].pop(-2), "the engine runs another pass"),
    ("sdar", "sequential", lambda case: case["steps"].append(case["steps"][-2]), "the engine has ended before it"),
    ("sdar", "sequential", shifted("final_ids", 3, 1), "final_ids "),
    ("sdar", "sequential", lambda case: case["final_ids"].pop(), "final_ids "),
    ("sdar", "sequential", lambda case: case.update(forwards_denoise=9), "denoising forwards 8"),
    ("sdar", "sequential", lambda case: case.update(forwards_store_kv=9), "context forwards 4"),
    ("llada2", "eos_stops_after_block", shifted("generated_ids", 0, 1), "generated_ids "),
    ("nemotron_labs_diffusion", "autoregressive", lambda case: case.update(nfe_reference=21), "forwards 20"),
    ("nemotron_labs_diffusion", "autoregressive", shifted("final_ids", -1, 1), "final_ids "),
    ("sdar", "sampled_top_k_top_p_dynamic", lambda case: case["steps"].pop(-2), "a uniform that was not recorded"),
    ("diffusion_gemma", "sampled_two_canvases", lambda case: case["canvases"].pop(), "a random token that was not"),
]


@pytest.mark.parametrize(("family", "name", "change", "what"), OUTCOMES)
def test_another_outcome_is_told_apart(
    tmp_path: Path, family: str, name: str, change: Callable[[Json], object], what: str
) -> None:
    (verdict,) = verdicts(copy_of(family, tmp_path, name, change))
    assert verdict.difference is not None
    assert what in verdict.difference


SETTINGS: list[tuple[str, str, dict[str, object], str]] = [
    ("sdar", "low_confidence_dynamic_block4", {"confidence_threshold": 0.9}, "committed"),
    ("sdar", "sampled_top_k_top_p_dynamic", {"top_p": 0.5}, "confidence"),
    ("sdar", "sampled_top_k_top_p_dynamic", {"top_k": 2}, "confidence"),
    ("llada", "fast_threshold_dual_cache", {"threshold": 0.95}, "committed"),
    ("llada", "fast_factor_no_cache", {"factor": 3.0}, "committed"),
    ("llada", "llada_cfg", {"cfg_scale": 1.0}, "proposed"),
    ("dream", "entropy", {"steps": 9}, "quota"),
    ("dream", "entropy", {"eps": 0.5}, "quota"),
    ("dream", "origin", {"eps": 0.5}, "committed"),
    ("dream", "entropy", {"top_p": 0.5}, "entropy"),
    ("llada2", "two_per_step_unaligned_prompt", {"minimal_topk": 7}, "quota"),
    ("llada21", "two_per_step", {"num_to_transfer": 3}, "quota"),
    ("llada21", "two_per_step", {"editing_threshold": 0.9}, "edited"),
    ("llada21", "post_steps_exhausted", {"max_post_steps": 1}, "computed"),
    ("a2d_qwen3_bd3lm", "low_confidence", {"steps_per_block": 8}, "committed"),
    ("fast_dllm_v2", "threshold_block_cache", {"use_block_cache": False}, "computed"),
    ("nemotron_labs_diffusion", "dlm_threshold", {"causal_context": False}, "outcome"),
]


@pytest.mark.parametrize(("family", "name", "settings", "what"), SETTINGS)
def test_settings_are_honoured(tmp_path: Path, family: str, name: str, settings: dict[str, object], what: str) -> None:
    (verdict,) = verdicts(copy_of(family, tmp_path, name, lambda case: case["hyper_parameters"].update(settings)))
    assert verdict.difference is not None
    assert f": {what} " in verdict.difference
