from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dllm_worker.batch import BlockRows, pack
from dllm_worker.cache.attention import SegmentAttention
from dllm_worker.cache.pages import PagePool
from dllm_worker.cache.shape import LayerShape
from dllm_worker.models.loading import FAMILIES, LoadedModel
from dllm_worker.models.packing import pack as pack_weights
from dllm_worker.models.tiles import tile
from dllm_worker.models.transformer import Network
from dllm_worker.work import AttentionCost, Look, MixtureCost, NetworkCost, Work, network_cost
from tests.dllm_worker.conftest import VOCABULARY
from tests.dllm_worker.models.families import CONFIGS

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 48, 64, 3, 4, 2, 16
"""Those of ``conftest.tiny_config``."""


def by_hand() -> NetworkCost:
    return NetworkCost(
        weights=100,
        bytes=250,
        mixtures=(),
        attention=(AttentionCost(1, 2, LayerShape(1, 4)),),
        vocab=10,
        hidden=8,
        number_bytes=2,
    )


def test_each_row_meets_each_weight_once_and_the_weights_are_read_once() -> None:
    one, two = by_hand().of([Look(1)]), by_hand().of([Look(1), Look(1)])
    attention = 4 * 2 * 4
    assert one == Work(2 * 100 + attention, 250 + 16)
    assert two == Work(2 * one.flops, one.bytes + 16)


def test_attention_costs_what_is_seen() -> None:
    cost, alone = by_hand(), by_hand().of([Look(3)])
    position = 2 * 1 * 4 * 2
    seen = cost.of([Look(3, before=5, after=2)])
    assert seen.flops - alone.flops == 4 * 2 * 4 * 3 * 7
    assert seen.bytes - alone.bytes == 7 * position
    assert cost.of([Look(3, stored=True)]).bytes - alone.bytes == 3 * position


@pytest.mark.parametrize("window", [None, 1, 3, 4, 20])
@pytest.mark.parametrize("before", [0, 2, 9])
def test_causal_pairs_are_those_of_the_mask(window: int | None, before: int) -> None:
    rows, columns = torch.arange(5)[:, None] + before, torch.arange(5 + before)
    visible = columns <= rows
    if window is not None:
        visible &= columns > rows - window
    assert Look(5, before, causal=True).pairs(window) == int(visible.sum())


def test_a_canvas_sees_the_window_before_it_and_all_of_itself() -> None:
    assert Look(4, before=9).pairs(window=3) == 4 * (2 + 4)
    assert Look(4, before=1).pairs(window=3) == 4 * (1 + 4)


def test_the_head_is_read_when_a_row_needs_it() -> None:
    cost, alone = by_hand(), by_hand().of([Look(3)])
    assert cost.of([Look(3)], head_rows=2).flops - alone.flops == 2 * 2 * 10 * 8
    assert cost.of([Look(3)], head_rows=2).bytes == cost.of([Look(3)], head_rows=1).bytes == alone.bytes + 10 * 8 * 2
    assert cost.of([Look(3)], head_rows=2, soft_rows=2).bytes == alone.bytes + 2 * 10 * 8 * 2


def test_experts_are_read_when_they_are_chosen() -> None:
    mixture = MixtureCost(layers=1, count=4, chosen=1, weights=6, bytes=12)
    assert mixture.touched(0) == 0
    assert mixture.touched(1) == pytest.approx(1)
    assert mixture.touched(2) == pytest.approx(1 + 3 / 4)
    assert mixture.touched(1000) == pytest.approx(4)


def test_the_cost_of_a_network_is_read_off_its_parameters(tiny_model: LoadedModel) -> None:
    cost = network_cost(tiny_model.denoiser)
    layer = HIDDEN * (HEADS + 2 * KV_HEADS) * HEAD_DIM + HEADS * HEAD_DIM * HIDDEN + 3 * HIDDEN * INTERMEDIATE
    norms = LAYERS * (2 * HIDDEN + 2 * HEAD_DIM) + HIDDEN
    assert cost.weights == LAYERS * layer
    assert cost.bytes == 4 * (LAYERS * layer + norms)
    assert (cost.vocab, cost.hidden, cost.number_bytes) == (VOCABULARY, HIDDEN, 4)
    assert cost.attention == (AttentionCost(LAYERS, HEADS, LayerShape(KV_HEADS, HEAD_DIM)),)


def test_a_looped_layer_counts_each_time(grid_model: LoadedModel, tiny_model: LoadedModel) -> None:
    assert network_cost(grid_model.denoiser).weights == 2 * network_cost(tiny_model.denoiser).weights
    assert [attention.layers for attention in network_cost(grid_model.denoiser).attention] == [2 * LAYERS]


def test_experts_are_counted_apart() -> None:
    config = CONFIGS["llada2_moe"]
    cost = network_cost(FAMILIES["llada2_moe"].build(config))
    weights = 3 * config["hidden_size"] * config["moe_intermediate_size"]
    layers = config["num_hidden_layers"] - config["first_k_dense_replace"]
    assert cost.mixtures == (
        MixtureCost(layers, config["num_experts"], config["num_experts_per_tok"], weights, 4 * weights),
    )


@pytest.mark.parametrize("change", [pack_weights, tile])
@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_how_products_are_made_changes_no_cost(family: str, change: Callable[[Network], None]) -> None:
    network = FAMILIES[family].build(CONFIGS[family])
    before = network_cost(network)
    change(network)
    assert network_cost(network) == before


@torch.inference_mode()
@pytest.mark.parametrize("before", [0, 32])
def test_a_real_pass_multiplies_as_often_as_predicted(tiny_model: LoadedModel, before: int) -> None:
    pool = PagePool(tiny_model.denoiser.cache_shape, 16, 8, tiny_model.dtype, tiny_model.device)
    allocation = pool.allocate("a", 64)
    assert allocation is not None
    batch = pack([BlockRows(torch.arange(2, 34), before, allocation.slots, stored=False)], tiny_model.device)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        hidden = tiny_model.denoiser(batch.rows, SegmentAttention(pool, batch.segments))
        tiny_model.denoiser.head.logits(hidden)
    assert counter.get_total_flops() == network_cost(tiny_model.denoiser).of([Look(32, before)], head_rows=32).flops
