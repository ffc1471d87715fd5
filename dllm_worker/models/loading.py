"""From a checkpoint folder in the Hugging Face layout to a model that can be served, and back.

Weights are read tensor by tensor from memory-mapped safetensors into the parameters that will be used, so they are
never twice in memory. Projections that the network fuses are read from, and written as, their separate tensors.
No code of the checkpoint is executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dllm_worker.cache.pages import CacheShape
from dllm_worker.models import embedded, embedded_config
from dllm_worker.models.blocks import Attend, GatedMLP, SelfAttention
from dllm_worker.models.checkpoint import LoadError, ModelDescription, describe, model_type, read_json
from dllm_worker.spec import ModelSpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TENSOR_PREFIX = "model."
FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


class Denoiser(Protocol):
    """The only code that touches a family's weights: packed rows in, hidden rows out."""

    @property
    def output_embedding(self) -> Tensor:
        """``[vocab, hidden]``."""

    @property
    def cache_shape(self) -> CacheShape: ...

    def __call__(self, token_ids: Tensor, positions: Tensor, attend: Attend) -> Tensor: ...


BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], embedded.EmbeddedDenoiser]] = {
    embedded_config.MODEL_TYPE: embedded.build
}
"""By ``model_type``: from ``config.json`` to the network without weights."""


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


def load_model(path: Path, dtype: str = "float32", device: str = "cpu") -> LoadedModel:
    """Build the network of ``path`` and fill it with its weights, converted to ``dtype`` on ``device``.

    ``dtype`` is one of ``DTYPES``; :class:`LoadError` says what is wrong with a checkpoint.
    """
    if dtype not in DTYPES:
        raise LoadError(f"dtype {dtype!r} is unknown; there are {', '.join(sorted(DTYPES))}")
    description = describe(path)
    config = read_json(path / "config.json")
    with torch.device("meta"):
        network = BUILDERS[model_type(path, config)](config).to(DTYPES[dtype])
    network.to_empty(device=device)
    network.tie_weights()
    network.eval().requires_grad_(requires_grad=False)
    _fill(network, path)
    suppressed = torch.tensor(description.spec.suppressed_token_ids, dtype=torch.int64, device=device)
    return LoadedModel(description, network, suppressed, DTYPES[dtype], torch.device(device))


def save_checkpoint(network: nn.Module, config: Mapping[str, Any], path: Path) -> None:
    """Write ``config.json`` and the weights in bf16 under their Hugging Face names; each file appears whole."""
    path.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    shared = {name for name, _ in network.named_parameters()}
    for name, parameter in network.state_dict().items():
        if name in shared:
            for part, tensor in zip(_stored_names(name), parameter.split(_part_rows(network, name)), strict=True):
                tensors[part] = tensor.to(torch.bfloat16).contiguous()
    unfinished = path / "model.safetensors.partial"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    unfinished.replace(path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _fill(network: nn.Module, path: Path) -> None:
    stored = dict(_stored_tensors(path))
    for name, parameter in network.named_parameters():
        parts = _stored_names(name)
        missing = next((part for part in parts if part not in stored), None)
        if missing is not None:
            raise LoadError(f"{path}: tensor {missing} is missing")
        row = 0
        for part in parts:
            tensor = stored.pop(part)()
            target = parameter.data[row : row + tensor.shape[0]] if tensor.ndim else parameter.data
            if target.shape != tensor.shape:
                raise LoadError(f"{path}: tensor {part} has shape {list(tensor.shape)}, not {list(target.shape)}")
            target.copy_(tensor)
            row += tensor.shape[0]
        if row != parameter.shape[0]:
            raise LoadError(f"{path}: tensors {', '.join(parts)} have {row} rows, not {parameter.shape[0]}")
    if stored:
        raise LoadError(f"{path}: tensor {min(stored)} has no place in the network")


def _stored_tensors(path: Path) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Names and readers of the tensors in every ``*.safetensors`` of the folder."""
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise LoadError(f"{path}: there is no .safetensors file")
    for file in files:
        try:
            handle = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise LoadError(f"{file} cannot be read: {error}") from error
        for name in handle.keys():  # type: ignore[no-untyped-call]  # noqa: SIM118 (a file handle, not a mapping)
            yield name, partial(handle.get_tensor, name)


def _stored_names(name: str) -> list[str]:
    """``layers.0.self_attn.qkv_proj.weight`` is stored as the three of q, k and v; ``lm_head`` has no prefix."""
    prefix = "" if name.startswith("lm_head") else TENSOR_PREFIX
    fused = next((fused for fused in FUSED if f".{fused}." in name), None)
    if fused is None:
        return [prefix + name]
    return [prefix + name.replace(fused, part) for part in FUSED[fused]]


def _part_rows(network: nn.Module, name: str) -> list[int]:
    """Rows of each stored tensor of the parameter ``name``."""
    module = network.get_submodule(name.rpartition(".")[0])
    owner = network.get_submodule(name.rpartition(".")[0].rpartition(".")[0])
    if isinstance(owner, SelfAttention) and module is owner.qkv_proj:
        return [owner.heads * owner.head_dim, *[owner.kv_heads * owner.head_dim] * 2]
    rows = network.get_parameter(name).shape[0]
    return [rows // 2] * 2 if isinstance(owner, GatedMLP) and module is owner.gate_up_proj else [rows]
