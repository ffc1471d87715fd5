"""From ``config.json`` and the small files beside it to facts, or to a refusal that names its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dllm_worker.models.checkpoint import SPEC_READERS, LoadError, describe
from dllm_worker.models.loading import FAMILIES
from dllm_worker.spec import ModelSpec
from tests.dllm_worker.models.families import CONFIGS, EOS, MASK

BLOCK_CAUSAL = ["sdar", "a2d-qwen3", "llada2_moe"]


def spec_of(path: Path, config: dict[str, Any], **files: dict[str, Any]) -> ModelSpec:
    """Describe a folder that holds ``config`` and the other ``files``, by their stems."""
    for stem, content in {"config": config, **files}.items():
        (path / f"{stem}.json").write_text(json.dumps(content))
    return describe(path).spec


def without(config: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != name}


def test_every_family_has_a_reader_and_a_network() -> None:
    assert set(SPEC_READERS) == set(FAMILIES)


@pytest.mark.parametrize("family", BLOCK_CAUSAL)
def test_block_causal_families_count_blocks_from_the_beginning(family: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS[family] | {"block_size": 8})
    assert (spec.family, spec.corruption, spec.context_attention) == (family, "absorbing", "block_causal")
    assert (spec.canvas_anchor, spec.canvas_length, spec.exact_cache) == ("zero", 8, True)
    assert (spec.max_canvas_length, spec.max_position) == (128, 128)
    assert (spec.mask_token_id, spec.suppressed_token_ids, spec.eos_token_ids) == (MASK, (MASK,), (EOS,))


@pytest.mark.parametrize("family", ["a2d-qwen3", "llada2_moe"])
def test_a_block_that_is_not_stated_has_32_positions(family: str, tmp_path: Path) -> None:
    assert spec_of(tmp_path, CONFIGS[family]).canvas_length == 32


def test_sdar_has_to_state_its_block(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="'block_size' is missing"):
        spec_of(tmp_path, without(CONFIGS["sdar"], "block_size"))


def test_llada_denoises_prompt_and_answer_as_one(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["llada"])
    assert (spec.context_attention, spec.exact_cache) == ("bidirectional", False)
    assert (spec.canvas_length, spec.max_canvas_length, spec.max_position) == (64, 64, 64)


def test_llada_never_proposes_the_rows_that_only_fill_up_the_embedding(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["llada"] | {"embedding_size": 99})
    assert spec.vocab_size == 99
    assert spec.suppressed_token_ids == (MASK, 96, 97, 98)


def test_ends_of_sequence_are_one_id_or_several(tmp_path: Path) -> None:
    assert spec_of(tmp_path, CONFIGS["sdar"] | {"eos_token_id": [95, 7]}).eos_token_ids == (95, 7)


@pytest.mark.parametrize(("stated", "ends"), [([95, 3], (95, 3)), (4, (4,)), (None, (EOS,))])
def test_ends_of_sequence_of_the_generation_configuration_win(
    stated: object, ends: tuple[int, ...], tmp_path: Path
) -> None:
    spec = spec_of(tmp_path, CONFIGS["sdar"], generation_config={"eos_token_id": stated})
    assert spec.eos_token_ids == ends


@pytest.mark.parametrize("mask", ["<|mask|>", {"content": "<|mask|>", "lstrip": False}])
def test_a_mask_that_the_configuration_lacks_is_the_tokenizers(mask: object, tmp_path: Path) -> None:
    added = {"90": {"content": "<|end|>"}, "91": {"content": "<|mask|>"}}
    settings = {"mask_token": mask, "added_tokens_decoder": added}
    config = without(CONFIGS["llada2_moe"], "mask_token_id")
    assert spec_of(tmp_path, config, tokenizer_config=settings).mask_token_id == 91


def test_the_mask_may_be_known_to_the_tokenizer_file_only(tmp_path: Path) -> None:
    config = without(CONFIGS["sdar"], "mask_token_id")
    tokens = {"added_tokens": [{"id": 92, "content": "<|mask|>"}]}
    spec = spec_of(tmp_path, config, tokenizer_config={"mask_token": "<|mask|>"}, tokenizer=tokens)
    assert spec.mask_token_id == 92


def test_a_model_without_a_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="'mask_token_id' is missing"):
        spec_of(tmp_path, without(CONFIGS["sdar"], "mask_token_id"), tokenizer_config={"eos_token": "<|end|>"})


def test_the_angles_may_be_stated_as_transformers_5_does(tmp_path: Path) -> None:
    config = without(CONFIGS["sdar"], "rope_theta")
    assert spec_of(tmp_path, config | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})
    with pytest.raises(LoadError, match="rope_type is 'yarn'"):
        spec_of(tmp_path, config | {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *[
        (family, changes, message)
        for family in BLOCK_CAUSAL
        for changes, message in (
            ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_scaling is"),
            ({"use_sliding_window": True}, "use_sliding_window is True; only False is supported"),
            ({"hidden_act": "gelu"}, "hidden_act is 'gelu'; only 'silu' is supported"),
            ({"quantization_config": {"bits": 4}}, "quantization_config is"),
        )
    ],
    ("sdar", {"attention_bias": True}, "attention_bias is True"),
    ("a2d-qwen3", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types is"),
    ("llada", {"alibi": True}, "alibi is True"),
    ("llada", {"rope": False}, "rope is False; only True"),
    ("llada", {"rope_scaling": {"factor": 2}}, "rope_scaling is"),
    ("llada", {"block_type": "sequential"}, "block_type is 'sequential'"),
    ("llada", {"block_group_size": 2}, "block_group_size is 2"),
    ("llada", {"activation_type": "swiglu"}, "activation_type is 'swiglu'"),
    ("llada", {"layer_norm_type": "low_precision"}, "layer_norm_type is"),
    ("llada", {"include_bias": True}, "include_bias is True"),
    ("llada", {"include_qkv_bias": True}, "include_qkv_bias is True"),
    ("llada", {"attention_layer_norm": True}, "attention_layer_norm is True"),
    ("llada", {"scale_logits": True}, "scale_logits is True"),
    ("llada", {"input_emb_norm": True}, "input_emb_norm is True"),
    ("llada", {"clip_qkv": 8.0}, "clip_qkv is 8.0; only nothing"),
    ("llada", {"multi_query_attention": True}, "multi_query_attention is True"),
    ("llada2_moe", {"use_bias": True}, "use_bias is True; only False"),
    ("llada2_moe", {"use_qkv_bias": True}, "use_qkv_bias is True"),
    ("llada2_moe", {"use_qk_norm": False}, "use_qk_norm is False"),
    ("llada2_moe", {"norm_head": True}, "norm_head is True"),
    ("llada2_moe", {"score_function": "softmax"}, "score_function is 'softmax'"),
    ("llada2_moe", {"n_group": 0}, "8 experts in n_group 0 do not make equal groups"),
    ("llada2_moe", {"n_group": 3}, "8 experts in n_group 3 do not make equal groups"),
    ("llada2_moe", {"n_group": 8}, "8 experts in n_group 8 do not make equal groups"),
    ("llada2_moe", {"num_experts_per_tok": 5}, "has fewer than num_experts_per_tok"),
    ("llada2_moe", {"num_shared_experts": None}, "num_shared_experts is 0"),
]


@pytest.mark.parametrize(("family", "changes", "message"), REFUSED)
def test_what_a_network_does_not_compute_is_refused_by_name(
    family: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LoadError, match=message):
        spec_of(tmp_path, CONFIGS[family] | changes)


@pytest.mark.parametrize(
    ("family", "name"),
    [("sdar", "head_dim"), ("a2d-qwen3", "rope_theta"), ("llada", "weight_tying"), ("llada2_moe", "n_group")],
)
def test_a_missing_field_is_named(family: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=f"'{name}' is missing"):
        spec_of(tmp_path, without(CONFIGS[family], name))
