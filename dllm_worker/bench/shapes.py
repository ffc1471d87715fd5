"""Networks to measure, with random weights: one of about 100 million parameters and a small one of every family."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dllm_worker.models.loading import FAMILIES, LoadedModel, load_model, save_checkpoint

VOCABULARY, MASK, EOS = 8192, 8191, 8190
CONTEXT = 4096
QWEN3: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_act": "silu",
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1_000_000,
    "mask_token_id": MASK,
    "eos_token_id": EOS,
    "tie_word_embeddings": True,
}
LARGE: dict[str, Any] = QWEN3 | {
    "model_type": "sdar",
    "block_size": 64,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 6,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
"""Six of the 28 layers of Qwen3-0.6B: 103 million parameters."""
SMALL: dict[str, Any] = QWEN3 | {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
MIXTURE: dict[str, Any] = {
    "moe_intermediate_size": 256,
    "num_experts": 16,
    "num_experts_per_tok": 4,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    "partial_rotary_factor": 0.5,
    "use_bias": False,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
}
LLADA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 512,
    "mlp_hidden_size": 1536,
    "n_layers": 4,
    "n_heads": 8,
    "n_kv_heads": 8,
    "max_sequence_length": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope": True,
    "rope_theta": 500_000.0,
    "block_type": "llama",
    "activation_type": "silu",
    "layer_norm_type": "rms",
    "weight_tying": False,
    "mask_token_id": MASK,
    "eos_token_id": EOS,
}
YARN: dict[str, Any] = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 256,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
GEMMA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "moe_intermediate_size": 256,
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "sliding_window": 128,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "global_head_dim": 128,
    "num_global_key_value_heads": 2,
    "num_experts": 16,
    "top_k_experts": 4,
    "hidden_activation": "gelu_pytorch_tanh",
    "final_logit_softcapping": 30.0,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-6,
    "eos_token_id": EOS,
}
BLOCK_CAUSAL = {"length": 64, "max_length": CONTEXT, "anchor": "zero", "context_attention": "block_causal"}
SMALL_FAMILIES: Mapping[str, dict[str, Any]] = {
    "dllm_embedded": SMALL | {"suppress_tokens": [MASK], "canvas": BLOCK_CAUSAL},
    "sdar": SMALL | {"block_size": 64},
    "a2d-qwen3": SMALL,
    "Dream": SMALL,
    "Fast_dLLM_Qwen": SMALL | {"bd_size": 64},
    "llada": LLADA,
    "llada2_moe": SMALL | MIXTURE,
    "nemotron_labs_diffusion": {name: value for name, value in SMALL.items() if name != "rope_theta"}
    | {"block_size": 64, "rope_parameters": YARN},
    "diffusion_gemma": {
        "text_config": GEMMA,
        "canvas_length": 64,
        "image_token_id": MASK,
        "boi_token_id": MASK - 2,
        "eoi_token_id": MASK - 3,
    },
}
"""By ``model_type``, which the values leave out."""


def random_model(
    config: Mapping[str, Any], dtype: str, device: str, seed: int = 0, *, deterministic: bool = False
) -> LoadedModel:
    """The model of ``config`` with random weights, loaded as any checkpoint is; logits spread by about one."""
    torch.manual_seed(seed)
    network = FAMILIES[config["model_type"]].build(config)
    nn.init.normal_(network.input_embedding, std=network.input_embedding.shape[1] ** -0.5)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(network, config, Path(folder))
        return load_model(Path(folder), dtype, device, deterministic=deterministic)


def small_models(dtype: str, device: str) -> dict[str, LoadedModel]:
    """A small model of every family."""
    return {name: random_model({"model_type": name} | config, dtype, device) for name, config in SMALL_FAMILIES.items()}
