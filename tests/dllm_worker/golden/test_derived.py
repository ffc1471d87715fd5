"""Cases that follow from recorded ones: the same passes, of which another setting leaves some out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dllm_worker.golden.verdicts import verdicts
from tests.dllm_worker.golden.copies import Json, copy_of


def ends_in_the_first_block(case: Json) -> None:
    """Both rows write 144 there, so as the end of the sequence it ends them both."""
    case["hyper_parameters"]["eos_token_id"] = 144
    case["steps"] = [step for step in case["steps"][:-1] if step.get("block") == 0 or step.get("length") == 16]
    case["final_ids"] = [row[:24] for row in case["final_ids"]]
    case.update(forwards_prefix=1, forwards_block=4)


def ends_in_one_row_only(case: Json) -> None:
    """Only the first row writes 88; rows are denoised until all have ended."""
    case["hyper_parameters"]["eos_token_id"] = 88


def overshoots(case: Json) -> None:
    """The fourth draft keeps two tokens where one was wanted."""
    case["hyper_parameters"]["max_new_tokens"] = 5
    case["steps"] = case["steps"][:13]
    case["final_ids"] = case["final_ids"][:14]
    case["nfe_reference"] = 13


def is_scored_by_all_that_was_kept(case: Json) -> None:
    """A nucleus of everything keeps everything."""
    case["hyper_parameters"]["top_p"] = 1.0


def opens_a_block_with_the_end(case: Json) -> None:
    """18 is predicted behind the first block. The reference denoises the block that it opens once."""
    case["hyper_parameters"]["eos_token_id"] = 18
    case["steps"] = [*case["steps"][:7], case["steps"][8]]
    case["final_ids"] = case["final_ids"][:22]
    case.update(forwards_denoise=5, forwards_commit=2, nfe_reference=7)


def stops_before_the_end_of_its_block(case: Json) -> None:
    """The mask before a 6 goes a step after it; the reference waits until the block is finished."""
    case["hyper_parameters"].update(eos_id=6, eos_early_stop=True)
    case.update(steps=case["steps"][:8], forwards=8, forwards_per_block=[8])
    case.update(generated_ids=case["generated_ids"][:5], final_ids=case["final_ids"][:13])


def has_one_end(case: Json) -> None:
    """Of the two ends that are asked for, the answer has only this one."""
    case["eos_token_id"] = 268


def keeps_what_follows_the_end(case: Json) -> None:
    """Without a token to pad with, the canvas stays as it is."""
    case["pad_token_id"] = None
    case["final_ids"] = case["final_ids"][:-16] + case["canvases"][-1]["steps"][-1]["argmax_canvas"]


DERIVED: list[tuple[str, str, Callable[[Json], None]]] = [
    ("a2d_qwen3_bd3lm", "low_confidence_unaligned_batch2", ends_in_the_first_block),
    ("a2d_qwen3_bd3lm", "low_confidence_unaligned_batch2", ends_in_one_row_only),
    ("nemotron_labs_diffusion", "linear_spec_threshold", overshoots),
    ("nemotron_labs_diffusion", "dlm_threshold", opens_a_block_with_the_end),
    ("llada2", "release_threshold_0.95", stops_before_the_end_of_its_block),
    ("diffusion_gemma", "argmax_eos_mid_canvas", has_one_end),
    ("diffusion_gemma", "argmax_eos_mid_canvas", keeps_what_follows_the_end),
    ("dream", "maskgit_plus", is_scored_by_all_that_was_kept),
]


@pytest.mark.parametrize(("family", "name", "change"), DERIVED)
def test_a_derived_case_is_identical(tmp_path: Path, family: str, name: str, change: Callable[[Json], None]) -> None:
    assert [str(verdict) for verdict in verdicts(copy_of(family, tmp_path, name, change))] == [
        f"{family}/{name}: identical"
    ]
