"""Small random models, one per context attention, written and read as any checkpoint is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from dllm_worker.models.embedded import build
from dllm_worker.models.loading import LoadedModel, load_model, save_checkpoint

VOCABULARY, MASK, EOS = 96, 0, 1


def tiny_config(**changes: Any) -> dict[str, Any]:
    """A ``config.json`` of three layers; blocks of 8, context of 256."""
    canvas = {"length": 8, "max_length": 256, "anchor": "zero", "context_attention": "block_causal"}
    return {
        "model_type": "dllm_embedded",
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "mask_token_id": MASK,
        "eos_token_id": EOS,
        "suppress_tokens": [MASK],
        "canvas": canvas | changes.pop("canvas", {}),
        **changes,
    }


def write_checkpoint(path: Path, config: dict[str, Any], seed: int = 0) -> Path:
    """A checkpoint of random weights, large enough for distributions that are far from flat."""
    torch.manual_seed(seed)
    network = build(config)
    with torch.no_grad():
        network.embed_tokens.weight.mul_(0.5)
    save_checkpoint(network, config, path)
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A random block-causal model."""
    return load_model(write_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config()))


@pytest.fixture(scope="session")
def grid_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A random bidirectional model whose canvas is all there is, as in Sudoku."""
    config = tiny_config(
        canvas={"length": 16, "max_length": 16, "context_attention": "bidirectional"},
        max_position_embeddings=16,
        position_embedding_type="learned",
        num_layer_repeats=2,
    )
    return load_model(write_checkpoint(tmp_path_factory.mktemp("grid"), config))


@pytest.fixture(scope="session")
def sequence_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A random bidirectional model of long sequences, as LLaDA is one."""
    config = tiny_config(canvas={"length": 256, "anchor": "prompt", "context_attention": "bidirectional"})
    return load_model(write_checkpoint(tmp_path_factory.mktemp("sequence"), config))
