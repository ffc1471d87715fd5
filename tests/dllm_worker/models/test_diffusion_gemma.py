"""The published 26B checkpoint as its configuration and the names of its tensors describe it, without its weights."""

from __future__ import annotations

from typing import Any

import torch

from dllm_worker.models.diffusion_gemma import FAMILY, build
from dllm_worker.models.specs.diffusion_gemma import read_config
from dllm_worker.models.weights import places
from tests.dllm_worker.models.families import CONFIGS

LAYERS = 30
PUBLISHED: dict[str, Any] = {
    "model_type": "diffusion_gemma",
    "canvas_length": 256,
    "text_config": {
        "vocab_size": 262_144,
        "hidden_size": 2816,
        "intermediate_size": 2112,
        "moe_intermediate_size": 704,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "global_head_dim": 512,
        "num_global_key_value_heads": 2,
        "num_experts": 128,
        "top_k_experts": 8,
        "sliding_window": 1024,
        "use_bidirectional_attention": "vision",
        "max_position_embeddings": 262_144,
        "eos_token_id": 1,
    },
}
NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm_1",
    "pre_feedforward_layernorm_2",
    "post_feedforward_layernorm_2",
    "post_feedforward_layernorm",
)
OF_A_LAYER = [
    *(f"{norm}.weight" for norm in NORMS),
    *(f"self_attn.{part}.weight" for part in ("q_norm", "k_norm", "q_proj", "k_proj", "o_proj")),
    *(f"mlp.{part}_proj.weight" for part in ("gate", "up", "down")),
    *("experts.gate_up_proj", "experts.down_proj", "layer_scalar"),
    *("router.proj.weight", "router.scale", "router.per_expert_scale"),
]


def test_every_tensor_of_the_published_text_model_has_a_place() -> None:
    names = {f"model.decoder.layers.{layer}.{name}" for layer in range(LAYERS) for name in OF_A_LAYER}
    names |= {f"model.encoder.language_model.layers.{layer}.layer_scalar" for layer in range(LAYERS)}
    names |= {f"model.decoder.layers.{i}.self_attn.v_proj.weight" for i in range(LAYERS) if (i + 1) % 6}
    parts = ("down_proj", "gate_proj", "pre_norm", "up_proj")
    names |= {f"model.decoder.self_conditioning.{part}.weight" for part in parts}
    names |= {"model.decoder.embed_tokens.weight", "model.decoder.norm.weight"}
    with torch.device("meta"):
        network = build(PUBLISHED)
    found = places(network, FAMILY.layout)
    assert set(found) == names
    assert found["model.decoder.layers.3.experts.gate_up_proj"].shape == (128, 1408, 2816)
    assert found["model.decoder.layers.5.self_attn.k_proj.weight"].shape == (1024, 2816)
    assert found["model.decoder.layers.6.self_attn.v_proj.weight"].shape == (2048, 2816)
    assert sum(tensor.numel() for tensor in found.values()) > 24.5e9


def test_every_sixth_layer_sees_everything_and_turns_a_quarter_of_each_head() -> None:
    layers = read_config(PUBLISHED).layers
    assert [layer.window for layer in layers[:7]] == [1024] * 5 + [None, 1024]
    assert layers[-1].window is None
    sliding, full = layers[0], layers[5]
    assert (sliding.kv_heads, sliding.head_dim, sliding.rope_theta, sliding.turned_pairs) == (8, 256, 1e4, 128)
    assert (full.kv_heads, full.head_dim, full.rope_theta, full.turned_pairs) == (2, 512, 1e6, 64)


def test_the_shape_of_single_layers_may_be_listed() -> None:
    text = CONFIGS["diffusion_gemma"]["text_config"]
    listed = {"per_layer_config": {"2": {"head_dim": 24, "num_key_value_heads": 1}}}
    kept = {name: value for name, value in text.items() if not name.startswith(("global", "num_global"))}
    assert read_config({"text_config": kept | listed}) == read_config({"text_config": text})
