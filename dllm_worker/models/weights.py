"""Stored tensors and the places that they fill.

Weights go tensor by tensor from memory-mapped safetensors into the parameters that will be used, one file at a time,
so they are never twice in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dllm_worker.models.blocks import FusedLinear
from dllm_worker.models.checkpoint import LoadError, read_json
from dllm_worker.models.transformer import Family, Layout, Network

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
READABLE = ("F32", "BF16", "F16")
COMPARED_ROWS = 4096
_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


class StoredTensor(Protocol):
    """A tensor of a file; indexing it reads its values."""

    def get_shape(self) -> list[int]: ...

    def get_dtype(self) -> str: ...

    def __getitem__(self, index: object) -> Tensor: ...


def places(network: Network, layout: Layout) -> dict[str, Tensor]:
    """By the name of each stored tensor the part of a parameter that it fills, as a view."""
    found: dict[str, Tensor] = {}
    for name in dict(network.named_parameters()):
        layer = _LAYER.search(name)
        stored = layout[_LAYER.sub("{layer}", name)]
        templates = (stored,) if isinstance(stored, str) else stored
        for template, part in zip(templates, _parts(network, name, len(templates)), strict=True):
            found |= _experts(template.replace("{layer}", layer[0] if layer else ""), part)
    return found


def _parts(network: Network, name: str, count: int) -> tuple[Tensor, ...]:
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


def check(network: Network, family: Family, path: Path) -> None:
    """Compare what is stored with ``network``, which may be on the meta device: no value is read.

    :class:`LoadError` names what is missing, superfluous, of another shape or of an unreadable type.
    """
    wanted = places(network, family.layout)
    missing = set(wanted)
    for file in weight_files(path):
        for name, stored in _stored_tensors(file):
            if name in wanted:
                if name not in missing:
                    raise LoadError(f"{file}: tensor {name} is stored twice")
                missing.remove(name)
                _check_tensor(stored, wanted[name], f"{file}: tensor {name}")
            elif name == _tied_head(network, family):
                _check_tensor(stored, network.lm_head.weight, f"{file}: tensor {name}")
            elif not name.startswith(family.unused):
                raise LoadError(f"{file}: tensor {name} has no place in the network")
    if missing:
        raise LoadError(f"{path}: tensor {min(missing)} is missing")


def _check_tensor(stored: StoredTensor, place: Tensor, what: str) -> None:
    if stored.get_shape() != list(place.shape):
        raise LoadError(f"{what} has shape {stored.get_shape()}, not {list(place.shape)}")
    if stored.get_dtype() not in READABLE:
        raise LoadError(f"{what} is stored as {stored.get_dtype()}; only unquantised weights are read")


def _tied_head(network: Network, family: Family) -> str | None:
    """The name of an output embedding that need not be stored."""
    name = family.layout["lm_head.weight"]
    return name if network.tied and isinstance(name, str) else None


def fill(network: Network, family: Family, path: Path) -> None:
    """Copy every weight into ``network``, which has been checked.

    A tied output embedding may be stored as well; :class:`LoadError` when it is not the same.
    """
    wanted, tied_head = places(network, family.layout), _tied_head(network, family)
    heads: list[Tensor] = []
    for file in weight_files(path):
        for name, stored in _stored_tensors(file):
            if name in wanted:
                wanted[name].copy_(stored[...])
            elif name == tied_head:
                heads.append(stored[...])
    if not all(_same(head, network.head.weight.data) for head in heads):
        raise LoadError(f"{path}: tensor {tied_head} differs from the embedding to which config.json ties it")


def _same(tensor: Tensor, place: Tensor) -> bool:
    """Compared in pieces, so that no converted copy of the whole is made."""
    pairs = zip(torch.split(tensor, COMPARED_ROWS), torch.split(place, COMPARED_ROWS), strict=True)
    return all(torch.equal(stored.to(held), held) for stored, held in pairs)


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
    present = {file.name for file in path.iterdir() if file.is_file()}
    lost = next((name for name in names if name not in present), None)
    if lost is not None:
        raise LoadError(f"{path / INDEX}: {lost} is not a file of this folder")
    return [path / name for name in names]


def _stored_tensors(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    """Names and memory-mapped tensors; the mapping ends with the iteration."""
    try:
        with safe_open(file, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (a file handle, not a mapping)
                yield name, stored.get_slice(name)
    except (SafetensorError, OSError) as error:
        raise LoadError(f"{file} cannot be read: {error}") from error


def write(network: Network, layout: Layout, path: Path) -> None:
    """Store the weights in bf16 under their names in one file of ``path``, which appears whole."""
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in places(network, layout).items()}
    unfinished = path / f"{WHOLE}.partial"
    save_file(tensors, unfinished, metadata={"format": "pt"})
    unfinished.replace(path / WHOLE)
