"""From ``config.json`` and the small files beside it to facts, or to a refusal that names its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dllm_worker.models.checkpoint import SPEC_READERS, LoadError, describe
from dllm_worker.models.loading import FAMILIES
from dllm_worker.spec import Conventions, ModelSpec
from tests.dllm_worker.models.families import CONFIGS, EOS, MASK

BLOCK_CAUSAL = ["sdar", "llada2_moe", "Fast_dLLM_Qwen"]
BLOCK_SIZE = {"Fast_dLLM_Qwen": "bd_size"}
SDAR_CONVENTIONS = Conventions("proposal", "canvas", strict_threshold=True)


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
    spec = spec_of(tmp_path, CONFIGS[family] | {BLOCK_SIZE.get(family, "block_size"): 8})
    assert (spec.family, spec.corruption, spec.context_attention) == (family, "absorbing", "block_causal")
    assert (spec.canvas_anchor, spec.canvas_length) == ("zero", 8)
    assert (spec.max_canvas_length, spec.max_position) == (128, 128)
    assert (spec.mask_token_id, spec.suppressed_token_ids, spec.eos_token_ids) == (MASK, (MASK,), (EOS,))


@pytest.mark.parametrize("family", ["sdar", "llada2_moe"])
def test_sdar_and_llada2_decode_by_the_same_conventions(family: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS[family])
    assert (spec.conventions, spec.logit_shift, spec.next_token) == (SDAR_CONVENTIONS, 0, False)


@pytest.mark.parametrize(("stated", "shift"), [({}, 0), ({"right_shift_logits": True}, 1)])
def test_a2d_counts_blocks_from_the_end_of_the_prompt(stated: dict[str, Any], shift: int, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["a2d-qwen3"] | stated)
    assert (spec.context_attention, spec.canvas_anchor) == ("block_causal", "prompt")
    assert (spec.logit_shift, spec.conventions) == (shift, Conventions())


def test_fast_dllm_v2_denoises_a_block_in_parts(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["Fast_dLLM_Qwen"])
    assert (spec.canvas_length, spec.sub_canvas_length, spec.logit_shift, spec.next_token) == (16, 8, 1, True)
    assert spec.conventions == Conventions("proposal", strict_threshold=True, greedy_seed=True)
    assert spec_of(tmp_path, CONFIGS["Fast_dLLM_Qwen"] | {"small_block_size": 4}).sub_canvas_length == 4
    assert spec_of(tmp_path, CONFIGS["Fast_dLLM_Qwen"] | {"bd_size": 4}).sub_canvas_length == 4
    assert spec_of(tmp_path, CONFIGS["Fast_dLLM_Qwen"] | {"bd_size": 12}).sub_canvas_length == 4


def test_fast_dllm_v2_has_its_mask_in_its_code(tmp_path: Path) -> None:
    config = without(CONFIGS["Fast_dLLM_Qwen"], "mask_token_id") | {"vocab_size": 152_064}
    spec = spec_of(tmp_path, config)
    assert (spec.mask_token_id, spec.suppressed_token_ids) == (151_665, (151_665,))


def test_nemotron_has_two_ways_to_see_its_context(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["nemotron_labs_diffusion"])
    assert (spec.context_attention, spec.other_attentions, spec.prompt_block) == ("causal", ("block_causal",), True)
    assert (spec.canvas_anchor, spec.canvas_length, spec.logit_shift, spec.next_token) == ("prompt", 8, 0, True)
    assert spec.conventions == Conventions()


def test_diffusion_gemma_begins_with_noise_and_proposes_no_image(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["diffusion_gemma"])
    assert (spec.corruption, spec.mask_token_id, spec.self_conditioning) == ("uniform", None, True)
    assert (spec.context_attention, spec.canvas_anchor) == ("causal", "prompt")
    assert (spec.canvas_length, spec.max_canvas_length, spec.max_position) == (16, 16, 128)
    assert (spec.suppressed_token_ids, spec.eos_token_ids) == ((93, 92, 91), (EOS,))


def test_diffusion_gemma_may_have_its_ends_of_sequence_beside_it_and_no_images(tmp_path: Path) -> None:
    config = CONFIGS["diffusion_gemma"] | dict.fromkeys(("image_token_id", "boi_token_id", "eoi_token_id"))
    spec = spec_of(tmp_path, config, generation_config={"eos_token_id": [1, 50]})
    assert (spec.eos_token_ids, spec.suppressed_token_ids) == ((1, 50), ())


@pytest.mark.parametrize("family", ["a2d-qwen3", "llada2_moe"])
def test_a_block_that_is_not_stated_has_32_positions(family: str, tmp_path: Path) -> None:
    assert spec_of(tmp_path, CONFIGS[family]).canvas_length == 32


def test_sdar_has_to_state_its_block(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="'block_size' is missing"):
        spec_of(tmp_path, without(CONFIGS["sdar"], "block_size"))


def test_llada_denoises_prompt_and_answer_as_one(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["llada"])
    assert (spec.context_attention, spec.canvas_anchor) == ("bidirectional", "prompt")
    assert (spec.canvas_length, spec.max_canvas_length, spec.max_position) == (64, 64, 64)
    assert (spec.conventions, spec.logit_shift) == (Conventions(), 0)


def test_dream_is_as_llada_but_for_the_shift_and_its_confidence(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONFIGS["Dream"])
    assert (spec.context_attention, spec.canvas_anchor) == ("bidirectional", "prompt")
    conventions = Conventions("proposal", nucleus_first=True)
    assert (spec.conventions, spec.logit_shift, spec.next_token) == (conventions, 1, False)


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


def gemma(**changes: Any) -> dict[str, Any]:
    """The small DiffusionGemma with ``changes`` to its text."""
    return {"text_config": CONFIGS["diffusion_gemma"]["text_config"] | changes}


def yarn(**changes: Any) -> dict[str, Any]:
    """The small Nemotron with ``changes`` to its RoPE."""
    return {"rope_parameters": CONFIGS["nemotron_labs_diffusion"]["rope_parameters"] | changes}


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
    ("llada2_moe", {"n_group": 0}, "n_group is 0; it has to be a whole number from 1"),
    ("llada2_moe", {"n_group": 3}, "8 experts in n_group 3 do not make equal groups"),
    ("llada2_moe", {"n_group": 8}, "8 experts in n_group 8 do not make equal groups"),
    ("llada2_moe", {"num_experts_per_tok": 5}, "has fewer than num_experts_per_tok"),
    ("llada2_moe", {"num_shared_experts": None}, "num_shared_experts is None"),
    ("llada2_moe", {"partial_rotary_factor": 3.0}, "partial_rotary_factor turns 48 dimensions of head_dim 16"),
    ("llada2_moe", {"topk_group": 5}, "topk_group 5 is more than n_group 4"),
    ("sdar", {"hidden_size": -5}, "hidden_size is -5; it has to be a whole number from 1"),
    ("sdar", {"hidden_size": 10**12}, "hidden_size is 1000000000000; it has to be"),
    ("sdar", {"hidden_size": 48.0}, r"hidden_size is 48\.0; it has to be"),
    ("sdar", {"hidden_size": True}, "hidden_size is True; it has to be"),
    ("sdar", {"num_key_value_heads": 3}, "num_attention_heads 4 is not a multiple of num_key_value_heads 3"),
    ("sdar", {"head_dim": 15}, "head_dim is 15; only even ones"),
    ("sdar", {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan; it has to be a number above 0"),
    ("sdar", {"rope_theta": 1}, "rope_theta is 1; it has to be a number above 1"),
    ("sdar", {"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'; it has to be true or false"),
    ("sdar", {"eos_token_id": ["</s>"]}, "eos_token_id is '</s>'"),
    ("llada", {"d_model": 50}, "d_model 50 is not a multiple of n_heads 4"),
    ("llada", {"embedding_size": 95}, "embedding_size is 95; it has to be a whole number from 96"),
    ("Dream", {"num_attention_heads": 6, "num_key_value_heads": 2}, "hidden_size 64 is not a multiple of num_att"),
    ("Dream", {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
    ("Dream", {"use_sliding_window": True}, "use_sliding_window is True"),
    ("Fast_dLLM_Qwen", {"small_block_size": 5}, "bd_size 16 is not a multiple of small_block_size 5"),
    ("nemotron_labs_diffusion", {"mlp_bias": True}, "mlp_bias is True"),
    ("nemotron_labs_diffusion", {"sliding_window": 4096}, "sliding_window is 4096; only nothing"),
    ("nemotron_labs_diffusion", {"dlm_paradigm": "autoregressive"}, "dlm_paradigm is 'autoregressive'"),
    ("nemotron_labs_diffusion", {"rope_parameters": None}, "rope_parameters is None; it has to be an object"),
    ("nemotron_labs_diffusion", yarn(rope_type="llama3"), "rope_type is 'llama3'; only 'yarn'"),
    ("nemotron_labs_diffusion", yarn(factor=0.5), "factor is 0.5; it has to be 1 or more"),
    ("nemotron_labs_diffusion", yarn(beta_fast=0.5), "beta_fast 0.5 is below beta_slow 1.0"),
    ("nemotron_labs_diffusion", yarn(truncate=False), "truncate is False"),
    ("diffusion_gemma", {"tie_word_embeddings": False}, "tie_word_embeddings is False; only True"),
    ("diffusion_gemma", gemma(use_bidirectional_attention="all"), "use_bidirectional_attention is 'all'"),
    ("diffusion_gemma", gemma(attention_bias=True), "attention_bias is True"),
    ("diffusion_gemma", gemma(num_experts=None), "num_experts is None"),
    ("diffusion_gemma", gemma(top_k_experts=5), "top_k_experts 5 is more than num_experts 4"),
    ("diffusion_gemma", gemma(layer_types=["full_attention"]), "layer_types does not list the 3 layers"),
    ("diffusion_gemma", gemma(layer_types=["chunked_attention"] * 3), "layer_types is 'chunked_attention'"),
    ("diffusion_gemma", gemma(per_layer_config={"2": {"rms_norm_eps": 1.0}}), "per_layer_config has 'rms_norm_eps'"),
    ("diffusion_gemma", gemma(rope_parameters={"full_attention": {}}), "'sliding_attention' is missing"),
]


@pytest.mark.parametrize(("family", "changes", "message"), REFUSED)
def test_what_a_network_does_not_compute_is_refused_by_name(
    family: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LoadError, match=message):
        spec_of(tmp_path, CONFIGS[family] | changes)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("sdar", "head_dim"),
        ("a2d-qwen3", "rope_theta"),
        ("llada", "weight_tying"),
        ("llada2_moe", "n_group"),
        ("Dream", "mask_token_id"),
        ("nemotron_labs_diffusion", "rope_parameters"),
        ("diffusion_gemma", "text_config"),
    ],
)
def test_a_missing_field_is_named(family: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=f"'{name}' is missing"):
        spec_of(tmp_path, without(CONFIGS[family], name))
