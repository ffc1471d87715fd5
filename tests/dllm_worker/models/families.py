"""Small random checkpoints of the published families, under their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from dllm_worker.models.loading import FAMILIES, save_checkpoint

VOCABULARY, MASK, EOS = 96, 94, 95
QWEN3: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000,
    "mask_token_id": MASK,
    "eos_token_id": EOS,
}
MOE: dict[str, Any] = {
    "model_type": "llada2_moe",
    "num_hidden_layers": 3,
    "partial_rotary_factor": 0.5,
    "use_bias": False,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 24,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "num_shared_experts": 1,
    "n_group": 4,
    "topk_group": 2,
    "routed_scaling_factor": 2.5,
}
QWEN2 = {name: value for name, value in QWEN3.items() if name != "head_dim"} | {"hidden_size": 64}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1e6,
    "factor": 16.0,
    "original_max_position_embeddings": 16,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
    "llama_4_scaling_beta": 0.1,
}
GEMMA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "moe_intermediate_size": 24,
    "num_hidden_layers": 3,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
    "sliding_window": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "global_head_dim": 24,
    "num_global_key_value_heads": 1,
    "num_experts": 4,
    "top_k_experts": 2,
    "hidden_activation": "gelu_pytorch_tanh",
    "final_logit_softcapping": 30.0,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "eos_token_id": EOS,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "sdar": QWEN3 | {"model_type": "sdar", "block_size": 4},
    "a2d-qwen3": QWEN3 | {"model_type": "a2d-qwen3", "tie_word_embeddings": True},
    "llada": {
        "model_type": "llada",
        "vocab_size": VOCABULARY,
        "d_model": 48,
        "mlp_hidden_size": 64,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 4,
        "max_sequence_length": 64,
        "rms_norm_eps": 1e-5,
        "rope": True,
        "rope_theta": 10_000.0,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "weight_tying": False,
        "mask_token_id": MASK,
        "eos_token_id": EOS,
    },
    "llada2_moe": QWEN3 | MOE,
    "Dream": QWEN2 | {"model_type": "Dream"},
    "Fast_dLLM_Qwen": QWEN2 | {"model_type": "Fast_dLLM_Qwen", "bd_size": 16},
    "nemotron_labs_diffusion": {name: value for name, value in QWEN3.items() if name != "rope_theta"}
    | {"model_type": "nemotron_labs_diffusion", "block_size": 8, "rope_parameters": YARN},
    "diffusion_gemma": {
        "model_type": "diffusion_gemma",
        "text_config": GEMMA,
        "canvas_length": 16,
        "image_token_id": 93,
        "boi_token_id": 92,
        "eoi_token_id": 91,
    },
}


def write(path: Path, config: dict[str, Any]) -> Path:
    """A checkpoint whose distributions are far from flat, and in which nothing is zero or one throughout."""
    torch.manual_seed(0)
    network = FAMILIES[config["model_type"]].build(config)
    for name, parameter in network.named_parameters():
        if name.endswith(("expert_bias", "proj.bias")):
            nn.init.normal_(parameter, std=0.1)
        elif name.endswith(("scale", "scalar", "norm.weight")):
            nn.init.uniform_(parameter, 0.6, 1.4)
    with torch.no_grad():
        network.lm_head.weight.mul_(1 if network.tied else 4)
    save_checkpoint(network, config, path)
    return path
