from __future__ import annotations

import torch

from dllm_worker.bench.shapes import LARGE, SMALL_FAMILIES, random_model
from dllm_worker.models.checkpoint import SPEC_READERS
from dllm_worker.models.loading import FAMILIES


def test_there_is_a_small_network_of_every_family() -> None:
    assert set(SMALL_FAMILIES) == set(FAMILIES)
    for name, config in SMALL_FAMILIES.items():
        assert SPEC_READERS[name].read(config | {"model_type": name}).canvas_length >= 32


def test_the_large_network_has_about_100_million_parameters() -> None:
    with torch.device("meta"):
        network = FAMILIES[LARGE["model_type"]].build(LARGE)
    assert 95e6 < sum(parameter.numel() for parameter in network.parameters()) < 105e6


@torch.inference_mode()
def test_a_random_model_spreads_its_logits_by_about_one() -> None:
    config = SMALL_FAMILIES["sdar"] | {"model_type": "sdar", "num_hidden_layers": 1, "vocab_size": 8192}
    model = random_model(config, "float32", "cpu")
    width = model.denoiser.input_embedding.shape[1]
    logits = model.denoiser.head.logits(torch.randn(8, width, generator=torch.Generator().manual_seed(0)))
    assert 0.8 < float(logits.std()) < 1.2
