"""Where stored tensors go, in one file or in shards, and what is said of a checkpoint that is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dllm_worker.models.checkpoint import LoadError
from dllm_worker.models.loading import FAMILIES, load_model
from dllm_worker.models.transformer import Network
from dllm_worker.models.weights import places
from tests.dllm_worker.models import families

INDEX = "model.safetensors.index.json"
GATE = "model.layers.1.mlp.experts.3.gate_proj.weight"


def write(path: Path, family: str) -> Path:
    return families.write(path / family, families.CONFIGS[family])


def network(path: Path, dtype: str = "float32") -> Network:
    loaded = load_model(path, dtype).denoiser
    assert isinstance(loaded, Network)
    return loaded


def edit(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors")


def shard(path: Path) -> dict[str, str]:
    """Split the weights over two files with an index, whose ``weight_map`` is returned."""
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    names = sorted(tensors)
    found: dict[str, str] = {}
    for number, half in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, path / file)
        found |= dict.fromkeys(half, file)
    (path / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": found}))
    return found


@pytest.mark.parametrize("family", families.CONFIGS)
def test_what_is_loaded_is_what_was_stored(family: str, tmp_path: Path) -> None:
    path = write(tmp_path, family)
    stored, filled = load_file(path / "model.safetensors"), places(network(path), FAMILIES[family].layout)
    assert set(filled) == set(stored)
    assert all(torch.equal(filled[name], tensor.float()) for name, tensor in stored.items())


def test_llada_keeps_its_own_names(tmp_path: Path) -> None:
    path = write(tmp_path, "llada")
    stored = load_file(path / "model.safetensors")
    fused = network(path).get_parameter("layers.1.self_attn.qkv_proj.weight")
    assert torch.equal(fused, torch.cat([stored[f"model.transformer.blocks.1.{p}_proj.weight"] for p in "qkv"]).float())


def test_experts_are_stacked_and_fused(tmp_path: Path) -> None:
    path = write(tmp_path, "llada2_moe")
    stored, loaded = load_file(path / "model.safetensors"), network(path)
    parts = [stored[GATE], stored[GATE.replace("gate", "up")]]
    assert torch.equal(loaded.get_parameter("layers.1.mlp.experts.gate_up_proj")[3], torch.cat(parts).float())
    fused = stored["model.layers.0.attention.query_key_value.weight"]
    assert torch.equal(loaded.get_parameter("layers.0.self_attn.qkv_proj.weight"), fused.float())


@pytest.mark.parametrize(
    ("family", "routers"),
    [
        ("llada2_moe", {f"layers.{i}.mlp.gate.{part}" for i in (1, 2) for part in ("weight", "expert_bias")}),
        (
            "diffusion_gemma",
            {f"layers.{i}.router.{part}" for i in range(3) for part in ("proj.weight", "scale", "per_expert_scale")},
        ),
    ],
)
def test_the_router_stays_in_full_precision(family: str, routers: set[str], tmp_path: Path) -> None:
    loaded = network(write(tmp_path, family), "bfloat16")
    kept = {name for name, parameter in loaded.named_parameters() if parameter.dtype is torch.float32}
    assert kept == routers


def test_what_the_published_checkpoint_holds_for_images_is_left_out_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "diffusion_gemma")
    before = network(path).state_dict()
    images = ("model.encoder.vision_tower.std_bias", "model.encoder.embed_vision.embedding_projection.weight")
    edit(path, lambda tensors: tensors.update({name: torch.ones(2, dtype=torch.int8) for name in images}))
    after = network(path).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    edit(path, lambda tensors: tensors.update({"model.encoder.audio_tower.weight": torch.ones(2)}))
    with pytest.raises(LoadError, match=r"model\.encoder\.audio_tower\.weight has no place"):
        network(path)


def test_a_tied_output_embedding_may_be_stored_if_it_is_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, "a2d-qwen3")
    embedding = load_file(path / "model.safetensors")["model.embed_tokens.weight"]
    edit(path, lambda tensors: tensors.update({"lm_head.weight": embedding.clone()}))
    loaded = network(path)
    assert loaded.head.weight.data_ptr() == loaded.embed_tokens.weight.data_ptr()
    assert torch.equal(loaded.head.weight, embedding.float())
    edit(path, lambda tensors: tensors.update({"lm_head.weight": embedding + 1}))
    with pytest.raises(LoadError, match=r"lm_head\.weight differs from the embedding"):
        network(path)


def test_an_index_names_the_files_that_count(tmp_path: Path) -> None:
    path = write(tmp_path, "sdar")
    before = network(path).state_dict()
    shard(path)
    save_file({"unrelated": torch.zeros(1)}, path / "optimizer.safetensors")
    after = network(path).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("lost", ["model-00002-of-00002.safetensors", "../elsewhere.safetensors", "a" * 300])
def test_an_index_that_names_no_file_of_the_folder_is_refused(lost: str, tmp_path: Path) -> None:
    path = write(tmp_path, "sdar")
    found = shard(path)
    (path / "model-00002-of-00002.safetensors").unlink()
    (tmp_path / "elsewhere.safetensors").touch()
    found = {name: file.replace("model-00002-of-00002.safetensors", lost) for name, file in found.items()}
    (path / INDEX).write_text(json.dumps({"weight_map": found}))
    with pytest.raises(LoadError, match=f"{lost} is not a file of this folder"):
        network(path)


def test_an_index_without_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "sdar")
    shard(path)
    (path / INDEX).write_text("{}")
    with pytest.raises(LoadError, match="weight_map names no file"):
        network(path)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "sdar")
    shard(path)
    first, second = sorted(path.glob("*.safetensors"))
    name, tensor = min(load_file(second).items())
    save_file(load_file(first) | {name: tensor}, first)
    with pytest.raises(LoadError, match=rf"{second.name}: tensor {name} is stored twice"):
        network(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x08\0\0\0\0\0\0\0not json"])
def test_a_corrupt_shard_is_named(content: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, "llada2_moe")
    shard(path)
    (path / "model-00002-of-00002.safetensors").write_bytes(content)
    with pytest.raises(LoadError, match=r"model-00002-of-00002\.safetensors cannot be read"):
        network(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop(GATE), rf"tensor {GATE} is missing"),
        (lambda tensors: tensors.update({GATE: torch.ones(23, 48)}), r"has shape \[23, 48\], not \[24, 48\]"),
        (lambda tensors: tensors.update({GATE: torch.ones(24, 48, dtype=torch.int8)}), "stored as I8"),
        (lambda tensors: tensors.update({GATE.replace("3", "8"): torch.ones(24, 48)}), "experts.8.* has no place"),
        (
            lambda tensors: tensors.update({"model.layers.0.attention.query_key_value.bias": torch.ones(128)}),
            "query_key_value.bias has no place",
        ),
    ],
)
def test_experts_that_do_not_fit_are_named(
    change: Callable[[dict[str, Tensor]], None], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "llada2_moe")
    edit(path, change)
    with pytest.raises(LoadError, match=message):
        network(path)
