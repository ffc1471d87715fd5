from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dllm_worker.models.checkpoint import LoadError, describe, resolve_checkpoint
from dllm_worker.models.loading import load_model
from tests.dllm_worker.conftest import tiny_config, write_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "model", tiny_config())


def edit_config(path: Path, **changes: object) -> None:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(path: Path, name: str, value: torch.Tensor | None) -> None:
    tensors = load_file(path / "model.safetensors")
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, path / "model.safetensors")


def test_weights_are_stored_under_their_hugging_face_names(checkpoint: Path) -> None:
    stored = load_file(checkpoint / "model.safetensors")
    assert stored["model.layers.0.self_attn.k_proj.weight"].shape == (32, 48)
    assert stored["model.layers.2.mlp.up_proj.weight"].shape == (64, 48)
    assert all(tensor.dtype is torch.bfloat16 for tensor in stored.values())
    assert "lm_head.weight" not in stored


def test_what_is_loaded_is_what_was_stored(checkpoint: Path) -> None:
    stored = load_file(checkpoint / "model.safetensors")
    network = load_model(checkpoint).denoiser
    fused = network.get_parameter("layers.1.self_attn.qkv_proj.weight")  # type: ignore[attr-defined]
    parts = [stored[f"model.layers.1.self_attn.{part}_proj.weight"] for part in "qkv"]
    assert torch.equal(fused, torch.cat(parts).float())
    assert network.head.weight.data_ptr() == network.get_parameter("embed_tokens.weight").data_ptr()  # type: ignore[attr-defined]


def test_shards_are_read_like_one_file(checkpoint: Path, tmp_path: Path) -> None:
    sharded = tmp_path / "sharded"
    shutil.copytree(checkpoint, sharded)
    tensors = load_file(sharded / "model.safetensors")
    (sharded / "model.safetensors").unlink()
    names = sorted(tensors)
    for number, half in enumerate((names[::2], names[1::2])):
        save_file({name: tensors[name] for name in half}, sharded / f"model-0000{number}.safetensors")
    one, two = load_model(checkpoint), load_model(sharded)
    assert torch.equal(one.denoiser.head.weight, two.denoiser.head.weight)


def test_another_dtype_converts(checkpoint: Path) -> None:
    assert load_model(checkpoint, "bfloat16").denoiser.head.weight.dtype is torch.bfloat16
    with pytest.raises(LoadError, match="dtype 'int4' is unknown"):
        load_model(checkpoint, "int4")


def test_a_missing_checkpoint_is_named() -> None:
    with pytest.raises(LoadError, match="embedded:nothing"):
        resolve_checkpoint("embedded:nothing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type 'llama' is not served"),
        ({"mask_token_id": 96}, "mask_token_id 96 is outside"),
        ({"canvas": {"length": 8}}, "'max_length' is missing"),
        (
            {"canvas": {"length": 300, "max_length": 300, "anchor": "zero", "context_attention": "causal"}},
            "canvas_length 300",
        ),
    ],
)
def test_contradictory_configurations_are_explained(checkpoint: Path, changes: dict[str, object], message: str) -> None:
    edit_config(checkpoint, **changes)
    with pytest.raises(LoadError, match=message):
        describe(checkpoint)


def test_a_missing_field_is_named(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    del config["hidden_size"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadError, match="hidden_size"):
        load_model(checkpoint)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.norm.weight", None, "tensor model.norm.weight is missing"),
        ("model.norm.weight", torch.ones(7), r"has shape \[7\], not \[48\]"),
        ("model.layers.0.mlp.down_proj.weight", torch.ones(48, 9), r"has shape \[48, 9\], not \[48, 64\]"),
        ("model.layers.0.self_attn.v_proj.weight", torch.ones(16, 48), r"has shape \[16, 48\], not \[32, 48\]"),
        ("model.extra.weight", torch.ones(2), "model.extra.weight has no place"),
    ],
)
def test_wrong_weights_are_explained(checkpoint: Path, name: str, value: torch.Tensor | None, message: str) -> None:
    edit_weights(checkpoint, name, value)
    with pytest.raises(LoadError, match=message):
        load_model(checkpoint)


def test_a_truncated_weight_file_is_explained(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(LoadError, match=r"model\.safetensors cannot be read"):
        load_model(checkpoint)


def test_a_folder_without_weights_is_explained(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(LoadError, match=r"no \.safetensors file"):
        load_model(checkpoint)


def test_defaults_come_from_the_generation_configuration(checkpoint: Path) -> None:
    (checkpoint / "generation_config.json").write_text(
        json.dumps({"threshold": 0.7, "max_steps": 12, "top_k": None, "eos_token_id": 1, "transformers_version": "5"})
    )
    defaults = describe(checkpoint).defaults
    assert (defaults.threshold, defaults.max_steps, defaults.algorithm) == (0.7, 12, "confidence_threshold")
    assert defaults.top_k == 0


def test_the_revision_follows_the_weights(checkpoint: Path) -> None:
    before = describe(checkpoint).revision
    edit_weights(checkpoint, "model.norm.weight", torch.full((48,), 2.0))
    assert describe(checkpoint).revision != before
