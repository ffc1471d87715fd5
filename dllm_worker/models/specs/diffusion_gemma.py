"""``config.json`` of DiffusionGemma, an encoder and a denoiser in one Gemma 4 backbone.

The values that may be left out are those of transformers' ``DiffusionGemmaConfig``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dllm_worker.models.specs.dense import check_heads
from dllm_worker.models.specs.fields import (
    LARGEST_CONTEXT,
    LARGEST_DEPTH,
    LARGEST_EXPERTS,
    UNQUANTIZED,
    Supported,
    number,
    refuse_others,
    section,
    token_ids,
    whole,
)
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ModelSpec, SpecError

MODEL_TYPE = "diffusion_gemma"
SUPPORTED: Supported = {"tie_word_embeddings": (None, True), **UNQUANTIZED}
TEXT_SUPPORTED: Supported = {
    "hidden_activation": (None, "gelu_pytorch_tanh"),
    "attention_bias": (None, False),
    "tie_word_embeddings": (None, True),
    "use_bidirectional_attention": (None, "vision"),
}
SLIDING, FULL = "sliding_attention", "full_attention"
SLIDING_OF_SIX = 5
DEFAULT_ROPE: Mapping[str, Mapping[str, Any]] = {
    SLIDING: {"rope_type": "default", "rope_theta": 10_000.0},
    FULL: {"rope_type": "proportional", "rope_theta": 1_000_000.0, "partial_rotary_factor": 0.25},
}
IMAGE_TOKENS = {"image_token_id": 258_880, "boi_token_id": 255_999, "eoi_token_id": 258_882}


@dataclass(frozen=True, slots=True)
class GemmaLayer:
    """One layer. With a ``window`` it sees the last positions only; without one, its keys are its values.

    RoPE turns the first ``turned_pairs`` pairs of dimensions of a head, at the speeds of all ``head_dim / 2``.
    """

    kv_heads: int
    head_dim: int
    window: int | None
    rope_theta: float
    turned_pairs: int


@dataclass(frozen=True, slots=True)
class GemmaConfig:
    """The network's fields."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    moe_intermediate_size: int
    num_attention_heads: int
    num_experts: int
    top_k_experts: int
    rms_norm_eps: float
    logit_cap: float | None
    layers: tuple[GemmaLayer, ...]

    def __post_init__(self) -> None:
        for layer in self.layers:
            check_heads(self.num_attention_heads, layer.kv_heads, layer.head_dim)
        if self.top_k_experts > self.num_experts:
            raise SpecError(f"top_k_experts {self.top_k_experts} is more than num_experts {self.num_experts}")


def read_config(config: Mapping[str, Any]) -> GemmaConfig:
    """Pick the network's fields; :class:`SpecError` names a switch that this network does not have."""
    refuse_others(config, SUPPORTED)
    text = section(config, "text_config")
    refuse_others(text, TEXT_SUPPORTED)
    capped = text.get("final_logit_softcapping", 30.0) is not None
    return GemmaConfig(
        vocab_size=whole(text, "vocab_size"),
        hidden_size=whole(text, "hidden_size"),
        intermediate_size=whole(text, "intermediate_size"),
        moe_intermediate_size=whole(text, "moe_intermediate_size"),
        num_attention_heads=whole(text, "num_attention_heads"),
        num_experts=whole(text, "num_experts", most=LARGEST_EXPERTS),
        top_k_experts=whole(text, "top_k_experts", most=LARGEST_EXPERTS),
        rms_norm_eps=number(text, "rms_norm_eps", 1e-6),
        logit_cap=number(text, "final_logit_softcapping", 30.0) if capped else None,
        layers=tuple(_layer(text, kind, number) for number, kind in enumerate(_kinds(text))),
    )


def _kinds(text: Mapping[str, Any]) -> list[Literal["sliding_attention", "full_attention"]]:
    """Layer by layer; the last one sees everything whatever is stated."""
    count = whole(text, "num_hidden_layers", most=LARGEST_DEPTH)
    default = [SLIDING if (layer + 1) % (SLIDING_OF_SIX + 1) else FULL for layer in range(count)]
    kinds = text.get("layer_types") or default
    if not isinstance(kinds, list) or len(kinds) != count:
        raise SpecError(f"layer_types does not list the {count} layers of num_hidden_layers")
    for kind in kinds:
        refuse_others({"layer_types": kind}, {"layer_types": (SLIDING, FULL)})
    return [*kinds[:-1], FULL]


def _layer(text: Mapping[str, Any], kind: str, layer: int) -> GemmaLayer:
    own = {**text, **_overrides(text, kind, layer)}
    head_dim = whole(own, "head_dim")
    theta, pairs = _rope(text, kind, head_dim)
    return GemmaLayer(
        kv_heads=whole(own, "num_key_value_heads"),
        head_dim=head_dim,
        window=whole(text, "sliding_window", most=LARGEST_CONTEXT) if kind == SLIDING else None,
        rope_theta=theta,
        turned_pairs=pairs,
    )


def _overrides(text: Mapping[str, Any], kind: str, layer: int) -> Mapping[str, Any]:
    """What the layer has in place of the common ``head_dim`` and ``num_key_value_heads``."""
    if text.get("per_layer_config") is None:
        wide = {
            "head_dim": whole(text, "global_head_dim", 512),
            "num_key_value_heads": whole(text, "num_global_key_value_heads", whole(text, "num_key_value_heads")),
        }
        return wide if kind == FULL else {}
    by_layer = section(text, "per_layer_config")
    own = section(by_layer, str(layer)) if str(layer) in by_layer else {}
    strange = set(own) - {"head_dim", "num_key_value_heads"}
    if strange:
        raise SpecError(f"per_layer_config has {min(strange)!r}; only head_dim and num_key_value_heads are supported")
    return own


def _rope(text: Mapping[str, Any], kind: str, head_dim: int) -> tuple[float, int]:
    """RoPE's base, and how many pairs of a head's dimensions turn."""
    by_kind = DEFAULT_ROPE if text.get("rope_parameters") is None else section(text, "rope_parameters")
    stated = section(by_kind, kind)
    theta = number(stated, "rope_theta", above=1.0)
    if stated.get("rope_type") == "proportional":
        refuse_others(stated, {"factor": (None, 1.0)})
        share = number(stated, "partial_rotary_factor", 1.0)
        if share > 1:
            raise SpecError(f"partial_rotary_factor is {share}; it has to be 1 at most")
        return theta, int(share * head_dim // 2)
    refuse_others(stated, {"rope_type": (None, "default"), "partial_rotary_factor": (None, 1.0)})
    return theta, head_dim // 2


def read_spec(config: Mapping[str, Any]) -> ModelSpec:
    """The context is causal and a canvas begins as noise; the tokens that stand for images are never proposed."""
    network, text = read_config(config), section(config, "text_config")
    longest = whole(text, "max_position_embeddings", 131_072, most=LARGEST_CONTEXT)
    canvas = whole(config, "canvas_length", 256)
    images = {**IMAGE_TOKENS, **config}
    return ModelSpec(
        family=MODEL_TYPE,
        vocab_size=network.vocab_size,
        corruption="uniform",
        mask_token_id=None,
        eos_token_ids=token_ids(config if config.get("eos_token_id") is not None else text, "eos_token_id"),
        suppressed_token_ids=tuple(whole(images, name, least=0) for name in IMAGE_TOKENS if images[name] is not None),
        canvas_length=canvas,
        max_canvas_length=canvas,
        canvas_anchor="prompt",
        context_attention="causal",
        max_position=longest,
        self_conditioning=True,
    )


READER = SpecReader(
    read_spec,
    SamplingParameters(
        algorithm="renoise",
        max_steps=48,
        entropy_bound=0.1,
        entropy_exit=0.005,
        stability=1,
        t_min=0.4,
        t_max=0.8,
        eos="canvas",
    ),
    aliases={
        "max_denoising_steps": "max_steps",
        "sampler_config.entropy_bound": "entropy_bound",
        "stability_threshold": "stability",
        "confidence_threshold": "entropy_exit",
    },
)
