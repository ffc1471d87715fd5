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
}


def write(path: Path, config: dict[str, Any]) -> Path:
    """A checkpoint whose distributions are far from flat and whose experts are chosen with a bias."""
    torch.manual_seed(0)
    network = FAMILIES[config["model_type"]].build(config)
    for name, parameter in network.named_parameters():
        if name.endswith("expert_bias"):
            nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        network.lm_head.weight.mul_(1 if network.tied else 4)
    save_checkpoint(network, config, path)
    return path
