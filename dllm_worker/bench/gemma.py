"""The engine against transformers' own ``generate`` of DiffusionGemma, on the same random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion, DiffusionGemmaTextConfig
from transformers.models.diffusion_gemma import DiffusionGemmaGenerationConfig

from dllm_worker.bench.answering import answer
from dllm_worker.bench.timing import fastest
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Request

VOCABULARY, CANVAS, PROMPT_TOKENS, CANVASES, STEPS = 8192, 64, 48, 2, 8
CONCURRENCY = (1, 16)
REPETITIONS = 2
TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "global_head_dim": 128,
    "num_global_key_value_heads": 2,
    "num_experts": 8,
    "top_k_experts": 2,
    "moe_intermediate_size": 256,
    "sliding_window": 128,
    "max_position_embeddings": 1024,
}
VISION = {
    "model_type": "gemma4_vision",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


@dataclass(frozen=True, slots=True)
class AgainstTransformers:
    """Tokens per second of both, each answering ``requests`` prompts of equal length in the same number of steps."""

    requests: int
    transformers_tokens_per_second: float
    engine_tokens_per_second: float
    engine_over_transformers: float


def against_transformers(dtype: str, device: str) -> list[AgainstTransformers]:
    """Both at each of ``CONCURRENCY``; neither canvas ends early, so that both run the same number of passes."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = _random_model()
        theirs.save_pretrained(folder)
        ours = load_model(Path(folder), dtype, device)
    theirs = theirs.to(device=ours.device, dtype=ours.dtype)
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(0, VOCABULARY // 2, (max(CONCURRENCY), PROMPT_TOKENS), generator=generator)
    return [_compare(theirs, ours, prompts[:count]) for count in CONCURRENCY]


def _random_model() -> Any:
    torch.manual_seed(0)
    config = DiffusionGemmaConfig(
        text_config=DiffusionGemmaTextConfig(**TEXT),
        vision_config=VISION,
        canvas_length=CANVAS,
        image_token_id=VOCABULARY - 1,
        boi_token_id=VOCABULARY - 2,
        eoi_token_id=VOCABULARY - 3,
    )
    return DiffusionGemmaForBlockDiffusion(config).eval()


def _compare(theirs: Any, ours: LoadedModel, prompts: Tensor) -> AgainstTransformers:
    count, produced = len(prompts), len(prompts) * CANVASES * CANVAS
    requests = _requests(ours, prompts.tolist())
    spent = answer(ours, requests).usages.values()
    if {usage.denoising_steps for usage in spent} != {CANVASES * STEPS}:
        raise RuntimeError("a canvas ended early, and the two cannot be compared")
    runs = {
        "transformers": lambda: _generate(theirs, prompts.to(ours.device)),
        "engine": lambda: answer(ours, requests),
    }
    seconds = fastest(runs, REPETITIONS, ours.device)
    return AgainstTransformers(
        count,
        produced / seconds["transformers"],
        produced / seconds["engine"],
        seconds["transformers"] / seconds["engine"],
    )


def _requests(model: LoadedModel, prompts: Sequence[list[int]]) -> list[Request]:
    sampling = replace(model.description.defaults, max_steps=STEPS, entropy_exit=None, eos="ignore")
    return [
        Request(str(i), tuple(prompt), max_tokens=CANVASES * CANVAS, sampling=replace(sampling, seed=i))
        for i, prompt in enumerate(prompts)
    ]


@torch.inference_mode()
def _generate(model: Any, prompts: Tensor) -> None:
    settings = DiffusionGemmaGenerationConfig(
        max_new_tokens=CANVASES * CANVAS,
        max_denoising_steps=STEPS,
        confidence_threshold=1e-9,
        pad_token_id=0,
    )
    produced = model.generate(prompts, generation_config=settings).sequences.shape[1] - prompts.shape[1]
    if produced != CANVASES * CANVAS:
        raise RuntimeError(f"transformers produced {produced} tokens, not {CANVASES * CANVAS}")
