"""The networks against the published implementations: the same logits from the same weights and tokens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.models.experts import Router
from dllm_worker.models.loading import LoadedModel
from dllm_worker.models.transformer import Transformer
from tests.dllm_worker.models import golden

TOLERANCE = 2e-4
BLOCK_CAUSAL = ("sdar", "llada2", "llada21")
Requests = Sequence[list[Tensor]]
"""The tokens of each request, block after block."""


def blocks_of(tokens: Tensor, length: int) -> list[Tensor]:
    return list(torch.split(tokens, length))


@torch.inference_mode()
def logits(model: LoadedModel, requests: Requests, together: bool) -> list[Tensor]:
    """Each request's logits ``[positions, vocab]``, through pages and packed rows as the engine runs them.

    ``together`` is one forward pass that stores all blocks; otherwise each block has its own, once as a canvas
    that only reads the cache, which is what is returned, and once to be stored.
    """
    largest = max(len(block) for blocks in requests for block in blocks)
    pool = PagePool(model.denoiser.cache_shape, 64, largest, model.dtype, model.device)
    rows: list[list[BlockRows]] = []
    for number, blocks in enumerate(requests):
        ends = list(itertools.accumulate(len(block) for block in blocks))
        slots = pool.allocate(str(number), ends[-1])
        assert slots is not None
        rows.append([BlockRows(b, end - len(b), slots, stored=True) for end, b in zip(ends, blocks, strict=True)])
    if together:
        hidden = run(model, pool, [block for blocks in rows for block in blocks])
        split = torch.split(hidden, [sum(len(block.tokens) for block in blocks) for blocks in rows])
        return [golden.logits(model, part) for part in split]
    found: list[Tensor] = []
    for group in rows:
        parts: list[Tensor] = []
        for block in group:
            parts.append(run(model, pool, [BlockRows(block.tokens, block.start, block.slots, stored=False)]))
            run(model, pool, [block])
        found.append(golden.logits(model, torch.cat(parts)))
    return found


def run(model: LoadedModel, pool: PagePool, blocks: list[BlockRows]) -> Tensor:
    batch = pack(blocks, model.device)
    hidden: Tensor = model.denoiser(batch.token_ids, batch.positions, SegmentAttention(pool, batch.segments))
    return hidden[: sum(len(block.tokens) for block in blocks)]


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("family", BLOCK_CAUSAL)
def test_block_causal_families_agree(family: str, together: bool) -> None:
    model, data = golden.model(family), golden.forward(family)
    requests = [blocks_of(data[f"{name}.input_ids"][0], int(data[f"{name}.block_length"])) for name in "ab"]
    for name, actual in zip("ab", logits(model, requests, together), strict=True):
        assert_close(actual, data[f"{name}.logits"][0])


@pytest.mark.parametrize("together", [True, False])
def test_a2d_agrees_where_padding_shortens_the_first_block(together: bool) -> None:
    """The reference pads on the left and counts blocks with the padding, so what is left of a first block is short."""
    model, data = golden.model("a2d_qwen3_bd3lm"), golden.forward("a2d_qwen3_bd3lm")
    size = int(data["block_size"])
    requests: list[list[Tensor]] = []
    real: list[Tensor] = []
    for tokens, mask in zip(data["input_ids"], data["attention_mask"][:, 0].bool(), strict=True):
        kept = mask.diagonal()
        blocks = zip(blocks_of(tokens, size), blocks_of(kept, size), strict=True)
        requests.append([block[keep] for block, keep in blocks if keep.any()])
        real.append(kept)
    for actual, expected, kept in zip(logits(model, requests, together), data["logits"], real, strict=True):
        assert_close(actual, expected[kept])


def test_a2d_agrees_without_blocks() -> None:
    model, data = golden.model("a2d_qwen3_bd3lm"), golden.forward("a2d_qwen3_bd3lm")
    (actual,) = logits(model, [[data["full_bidirectional.input_ids"][0]]], together=True)
    assert_close(actual, data["full_bidirectional.logits"][0])


def test_llada_agrees() -> None:
    model, data = golden.model("llada"), golden.forward("llada")
    tokens = [*data["a.input_ids"], *data["b.input_ids"]]
    expected = [*data["a.logits"], *data["b.logits"]]
    for actual, wanted in zip(logits(model, [[row] for row in tokens], together=True), expected, strict=True):
        assert_close(actual, wanted)


@pytest.mark.parametrize("family", ["llada2", "llada21"])
def test_the_router_chooses_and_weighs_the_same_experts(family: str) -> None:
    network, data = golden.model(family).denoiser, golden.forward(family)
    assert isinstance(network, Transformer)
    router = network.get_submodule("layers.1.mlp.gate")
    assert isinstance(router, Router)
    experts, weights = router(data["router.layer1.input"])
    order, reference = experts.sort(-1), data["router.layer1.topk_idx"].sort(-1)
    assert torch.equal(order.values, reference.values)
    expected = data["router.layer1.topk_weight"].gather(1, reference.indices)
    torch.testing.assert_close(weights.gather(1, order.indices), expected, atol=1e-5, rtol=0)
