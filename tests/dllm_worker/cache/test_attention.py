"""Who sees whom, shown by changing a token and looking where the hidden rows change."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.models.loading import LoadedModel, load_model
from tests.dllm_worker.conftest import tiny_config, write_checkpoint

LENGTH, BLOCK = 512, 256


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path: Path = tmp_path_factory.mktemp("long")
    config = tiny_config(max_position_embeddings=LENGTH, canvas={"length": BLOCK, "max_length": LENGTH})
    return load_model(write_checkpoint(path, config))


@torch.inference_mode()
def hidden_rows(model: LoadedModel, tokens: Tensor, stored: bool = True, block: int = BLOCK) -> Tensor:
    """All positions through the cache, block by block in one pass (``stored``), or block after block."""
    pool = PagePool(model.denoiser.cache_shape, LENGTH // block, block, model.dtype, model.device)
    room = pool.allocate("a", LENGTH)
    assert room is not None
    blocks = [BlockRows(tokens[at : at + block], at, room.slots, stored=True) for at in range(0, LENGTH, block)]
    rows: list[Tensor] = []
    for group in [blocks] if stored else [[block] for block in blocks]:
        batch = pack(group, model.device)
        attend = SegmentAttention(pool, batch.segments)
        size = sum(block.tokens.shape[0] for block in group)
        rows.append(model.denoiser(batch.rows, attend)[:size])
    return torch.cat(rows)


def sees(model: LoadedModel, query: int, key: int) -> bool:
    tokens = torch.arange(LENGTH) % 90 + 2
    changed = tokens.clone()
    changed[key] = 95
    return not torch.equal(hidden_rows(model, tokens)[query], hidden_rows(model, changed)[query])


@pytest.mark.parametrize(
    ("query", "key", "visible"),
    [(10, 300, False), (300, 10, True), (10, 200, True), (200, 10, True), (255, 256, False), (256, 511, True)],
)
def test_a_block_sees_itself_and_earlier_blocks_only(
    long_model: LoadedModel, query: int, key: int, visible: bool
) -> None:
    assert sees(long_model, query, key) is visible


def test_cached_and_uncached_agree(long_model: LoadedModel) -> None:
    tokens = torch.arange(LENGTH) % 90 + 2
    together = hidden_rows(long_model, tokens, block=64)
    one_by_one = hidden_rows(long_model, tokens, stored=False, block=64)
    assert torch.allclose(together, one_by_one, atol=1e-5)


@torch.inference_mode()
def test_a_canvas_leaves_the_cache_alone(long_model: LoadedModel) -> None:
    pool = PagePool(long_model.denoiser.cache_shape, 2, BLOCK, long_model.dtype, long_model.device)
    room = pool.allocate("a", BLOCK)
    assert room is not None
    for plane in (*pool.keys, *pool.values):
        plane.fill_(7.0)
    batch = pack([BlockRows(torch.arange(2, 34), 0, room.slots, stored=False)], long_model.device)
    long_model.denoiser(batch.rows, SegmentAttention(pool, batch.segments))
    assert all(bool((plane == 7.0).all()) for plane in (*pool.keys, *pool.values))


@torch.inference_mode()
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_requests_of_equal_shape_get_the_bits_that_they_get_alone(
    long_model: LoadedModel, causal: bool, stored: bool
) -> None:
    rows, before = 32, 64
    tokens = torch.arange(4 * (before + rows)).view(4, -1) % 90 + 2

    def hidden(requests: list[int]) -> dict[int, Tensor]:
        pool = PagePool(long_model.denoiser.cache_shape, 8, BLOCK, long_model.dtype, long_model.device)
        context, canvases = [], []
        for request in requests:
            allocation = pool.allocate(str(request), before + rows)
            assert allocation is not None
            own = tokens[request]
            context.append(BlockRows(own[:before], 0, allocation.slots, stored=True))
            canvases.append(BlockRows(own[before:], before, allocation.slots, stored=stored, causal=causal))
        for blocks in (context, canvases):
            batch = pack(blocks, long_model.device)
            result = long_model.denoiser(batch.rows, SegmentAttention(pool, batch.segments))
        return dict(zip(requests, torch.split(result, rows), strict=False))

    together = hidden([0, 1, 2, 3])
    for request, alone in ((request, hidden([request])[request]) for request in together):
        assert torch.equal(together[request], alone)
