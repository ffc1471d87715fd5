"""Stored tensors and the places that they fill.

Weights go tensor by tensor from memory-mapped safetensors into the parameters that will be used, one file at a time,
so they are never twice in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dllm_worker.models.blocks import FusedLinear
from dllm_worker.models.checkpoint import LoadError, read_json
from dllm_worker.models.transformer import Layout, Transformer

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
READABLE = (torch.float32, torch.bfloat16, torch.float16)
COMPARED_ROWS = 4096
_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


def places(network: Transformer, layout: Layout) -> dict[str, Tensor]:
    """By the name of each stored tensor the part of a parameter that it fills, as a view."""
    found: dict[str, Tensor] = {}
    for name in dict(network.named_parameters()):
        layer = _LAYER.search(name)
        stored = layout[_LAYER.sub("{layer}", name)]
        templates = (stored,) if isinstance(stored, str) else stored
        for template, part in zip(templates, _parts(network, name, len(templates)), strict=True):
            found |= _experts(template.replace("{layer}", layer[0] if layer else ""), part)
    return found


def _parts(network: Transformer, name: str, count: int) -> tuple[Tensor, ...]:
    """The parameter ``name`` cut into the ``count`` projections that are fused in it: of equal width, or of its own."""
    parameter, module = network.get_parameter(name).data, network.get_submodule(name.rpartition(".")[0])
    if count == 1:
        return (parameter,)
    if isinstance(module, FusedLinear):
        return torch.split(parameter, list(module.widths))
    return parameter.chunk(count, dim=-2)


def _experts(template: str, part: Tensor) -> dict[str, Tensor]:
    if "{expert}" not in template:
        return {template: part}
    return {template.replace("{expert}", str(expert)): rows for expert, rows in enumerate(part)}


def fill(network: Transformer, layout: Layout, path: Path) -> None:
    """Read every weight of ``network``; :class:`LoadError` names what is missing, superfluous or of another shape.

    A tied output embedding may be stored as well, if it is the same.
    """
    missing = places(network, layout)
    known = set(missing)
    tied_head = layout["lm_head.weight"] if network.tied else None
    stored_head: Tensor | None = None
    for file in weight_files(path):
        for name, tensor in _stored_tensors(file):
            if name in missing:
                _copy(tensor, missing.pop(name), f"{file}: tensor {name}")
            elif name in known:
                raise LoadError(f"{file}: tensor {name} is stored twice")
            elif name == tied_head:
                stored_head = tensor
            else:
                raise LoadError(f"{file}: tensor {name} has no place in the network")
    if missing:
        raise LoadError(f"{path}: tensor {min(missing)} is missing")
    if stored_head is not None and not _same(stored_head, network.output_embedding.data):
        raise LoadError(f"{path}: tensor {tied_head} differs from the embedding to which config.json ties it")


def _same(tensor: Tensor, place: Tensor) -> bool:
    """Compared in pieces, so that no converted copy of the whole is made."""
    pairs = zip(torch.split(tensor, COMPARED_ROWS), torch.split(place, COMPARED_ROWS), strict=False)
    return tensor.shape == place.shape and all(torch.equal(stored.to(held), held) for stored, held in pairs)


def _copy(tensor: Tensor, place: Tensor, what: str) -> None:
    if tensor.shape != place.shape:
        raise LoadError(f"{what} has shape {list(tensor.shape)}, not {list(place.shape)}")
    if tensor.dtype not in READABLE:
        raise LoadError(f"{what} is stored as {tensor.dtype}; only unquantised weights are read")
    place.copy_(tensor)


def weight_files(path: Path) -> list[Path]:
    """``model.safetensors``; else the files that the index names; else every ``*.safetensors`` of the folder."""
    if (path / WHOLE).is_file():
        return [path / WHOLE]
    if not (path / INDEX).is_file():
        files = sorted(path.glob("*.safetensors"))
        if not files:
            raise LoadError(f"{path}: there is no .safetensors file")
        return files
    shards = read_json(path / INDEX).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise LoadError(f"{path / INDEX}: weight_map names no file")
    names = sorted({str(name) for name in shards.values()})
    lost = next((name for name in names if Path(name).name != name or not (path / name).is_file()), None)
    if lost is not None:
        raise LoadError(f"{path / INDEX}: {lost} is not a file of this folder")
    return [path / name for name in names]


def _stored_tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and memory-mapped values; the mapping ends with the iteration."""
    try:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (a file handle, not a mapping)
                yield name, stored.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise LoadError(f"{file} cannot be read: {error}") from error


def write(network: Transformer, layout: Layout, path: Path) -> None:
    """Store the weights in bf16 under their names in one file of ``path``, which appears whole."""
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in places(network, layout).items()}
    unfinished = path / f"{WHOLE}.partial"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    unfinished.replace(path / WHOLE)
