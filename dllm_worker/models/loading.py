"""From a checkpoint folder in the Hugging Face layout to a model that can be served, and back.

No code of the checkpoint is executed: a family's network is written here, and its ``Layout`` says where the stored
tensors go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dllm_worker.cache.shape import CacheShape
from dllm_worker.models import diffusion_gemma, embedded, llada, llada2, nemotron, qwen2, qwen3
from dllm_worker.models.blocks import Attend, FullPrecision
from dllm_worker.models.checkpoint import LoadError, ModelDescription, describe, model_type, read_json
from dllm_worker.models.head import Head
from dllm_worker.models.packing import can_pack, pack
from dllm_worker.models.rows import Rows
from dllm_worker.models.specs.diffusion_gemma import MODEL_TYPE as DIFFUSION_GEMMA
from dllm_worker.models.specs.embedded import MODEL_TYPE as EMBEDDED
from dllm_worker.models.specs.llada import MODEL_TYPE as LLADA
from dllm_worker.models.specs.llada2 import MODEL_TYPE as LLADA2
from dllm_worker.models.specs.nemotron import MODEL_TYPE as NEMOTRON
from dllm_worker.models.specs.qwen2 import DREAM, FAST_DLLM_V2
from dllm_worker.models.specs.qwen3 import A2D_QWEN3, SDAR
from dllm_worker.models.tiles import tile
from dllm_worker.models.transformer import Family, Network
from dllm_worker.models.weights import check, fill, write
from dllm_worker.spec import ModelSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FAMILIES: Mapping[str, Family] = {
    EMBEDDED: embedded.FAMILY,
    SDAR: qwen3.FAMILY,
    A2D_QWEN3: qwen3.FAMILY,
    DREAM: qwen2.FAMILY,
    FAST_DLLM_V2: qwen2.FAMILY,
    LLADA: llada.FAMILY,
    LLADA2: llada2.FAMILY,
    NEMOTRON: nemotron.FAMILY,
    DIFFUSION_GEMMA: diffusion_gemma.FAMILY,
}
"""By ``model_type``; ``checkpoint.SPEC_READERS`` has the same keys."""


class Denoiser(Protocol):
    """The only code that touches a family's weights: packed rows in, hidden rows out."""

    @property
    def head(self) -> Head:
        """From hidden rows to logits."""

    @property
    def input_embedding(self) -> Tensor:
        """``[vocab, hidden]``."""

    @property
    def cache_shape(self) -> CacheShape:
        """What the layers keep of each position."""

    def __call__(self, rows: Rows, attend: Attend) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run; ``suppressed`` are the vocabulary entries that are never proposed, int64."""

    description: ModelDescription
    denoiser: Denoiser
    suppressed: Tensor
    dtype: torch.dtype
    device: torch.device

    @property
    def spec(self) -> ModelSpec:
        return self.description.spec


def load_model(path: Path, dtype: str = "float32", device: str = "cpu", *, deterministic: bool = False) -> LoadedModel:
    """Build the network of ``path`` and fill it with its weights, converted to ``dtype`` on ``device``.

    A ``deterministic`` model computes a row to the same bits in every batch.
    ``dtype`` is one of ``DTYPES``. :class:`LoadError` says what is wrong with a checkpoint, before memory is taken.
    """
    if dtype not in DTYPES:
        raise LoadError(f"dtype {dtype!r} is unknown; there are {', '.join(sorted(DTYPES))}")
    description = describe(path)
    config = read_json(path / "config.json")
    family = FAMILIES[model_type(path, config)]
    with torch.device("meta"):
        network = _with_dtype(family.build(config), DTYPES[dtype])
    check(network, family, path)
    network.to_empty(device=device)
    network.tie_weights()
    network.eval().requires_grad_(requires_grad=False)
    fill(network, family, path)
    if can_pack(DTYPES[dtype], torch.device(device)):
        pack(network)
    if deterministic:
        tile(network)
    suppressed = torch.tensor(description.spec.suppressed_token_ids, dtype=torch.int64, device=device)
    return LoadedModel(description, network, suppressed, DTYPES[dtype], torch.device(device))


def _with_dtype(network: Network, dtype: torch.dtype) -> Network:
    network.to(dtype)
    for module in network.modules():
        if isinstance(module, FullPrecision):
            module.float()
    return network


def save_checkpoint(network: Network, config: Mapping[str, Any], path: Path) -> None:
    """Write ``config.json`` and the weights in bf16 under the names of their family."""
    path.mkdir(parents=True, exist_ok=True)
    write(network, FAMILIES[config["model_type"]].layout, path)
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
