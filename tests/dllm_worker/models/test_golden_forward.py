"""The networks against the published implementations: the same logits from the same weights and tokens."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from dllm_worker.batch import BlockRows
from dllm_worker.models.diffusion_gemma import DiffusionGemma
from dllm_worker.models.experts import Router
from dllm_worker.models.loading import LoadedModel
from dllm_worker.models.rotary import YarnRotary
from dllm_worker.models.transformer import Network, Transformer
from tests.dllm_worker.models import golden
from tests.dllm_worker.models.golden import Session

TOLERANCE = 2e-4
BLOCK_CAUSAL = ("sdar", "llada2", "llada21")
Requests = Sequence[list[Tensor]]
"""The tokens of each request, block after block."""


def blocks_of(tokens: Tensor, length: int) -> list[Tensor]:
    return list(torch.split(tokens, length))


def logits(model: LoadedModel, requests: Requests, together: bool) -> list[Tensor]:
    """Each request's logits ``[positions, vocab]``.

    ``together`` is one forward pass that stores all blocks; otherwise each block has its own, once as a canvas
    that only reads the cache, which is what is returned, and once to be stored.
    """
    longest = max(sum(len(block) for block in blocks) for blocks in requests)
    session = Session(model, longest, len(requests))
    rows: list[list[BlockRows]] = []
    for number, blocks in enumerate(requests):
        starts = itertools.accumulate((len(block) for block in blocks), initial=0)
        rows.append([session.rows(b, start, number) for start, b in zip(starts, blocks, strict=False)])
    if together:
        found = session.logits(*itertools.chain.from_iterable(rows))
        return list(torch.split(found, [sum(len(block.tokens) for block in blocks) for blocks in rows]))
    results: list[Tensor] = []
    for number, group in enumerate(rows):
        parts: list[Tensor] = []
        for block in group:
            parts.append(session.logits(session.rows(block.tokens, block.start, number, stored=False)))
            session.hidden(block)
        results.append(torch.cat(parts))
    return results


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


def test_dream_agrees_before_the_shift() -> None:
    model, data = golden.model("dream"), golden.forward("dream")
    (actual,) = logits(model, [[data["a.input_ids"][0]]], together=True)
    assert_close(actual, data["a.logits_unshifted"][0])


@pytest.mark.parametrize(("family", "suffix"), [("llada", ""), ("dream", "_unshifted")])
@pytest.mark.parametrize("kind", ["prefix", "dual"])
def test_stale_keys_and_values_are_those_of_the_reference(family: str, suffix: str, kind: str) -> None:
    """Everything is computed once; then a changed canvas looks at what is kept of that before and behind it."""
    model, data = golden.model(family), golden.forward(family)
    changed, start = data["c.changed_input_ids"][0], int(data["c.prefix_len"])
    stop = int(data["c.block_end"]) if kind == "dual" else len(changed)
    session = Session(model, len(changed))
    session.hidden(session.rows(data["c.input_ids_full" if family == "llada" else "a.input_ids"][0]))
    actual = session.logits(session.rows(changed[start:stop], start, stored=False, sees=len(changed)))
    assert_close(actual, data[f"c.logits_{kind}_cache{suffix}"][0])


@pytest.mark.parametrize("together", [True, False])
def test_fast_dllm_v2_agrees_before_the_shift(together: bool) -> None:
    model, data = golden.model("fast_dllm_v2"), golden.forward("fast_dllm_v2")
    requests = [blocks_of(data["a.input_ids"][0], int(data["a.block_size"]))]
    assert_close(logits(model, requests, together)[0], data["a.logits_unshifted"][0])


def test_a_part_of_a_fast_dllm_block_sees_the_whole_block() -> None:
    """The block is computed once, then a part of it anew, against the stale rest before and behind it."""
    model, data = golden.model("fast_dllm_v2"), golden.forward("fast_dllm_v2")
    prefix, block, part = data["a.input_ids"][0, :32], data["b.block_ids"][0], data["b.changed_sub_block_ids"][0]
    session = Session(model, 48)
    session.hidden(*(session.rows(rows, start) for start, rows in ((0, prefix[:16]), (16, prefix[16:]))))
    for layer in (0, 1):
        keys, values = session.cached(layer, slice(32))
        assert_close(keys, data[f"cache.{layer}.k"][0])
        assert_close(values, data[f"cache.{layer}.v"][0])
    assert_close(session.logits(session.rows(block, 32)), data["b.logits_full_block_unshifted"][0])
    at = 32 + int(data["b.sub_block_start"])
    actual = session.logits(session.rows(part, at, stored=False, sees=48))
    assert_close(actual, data["b.logits_sub_block_unshifted"][0])


def test_nemotron_agrees_in_both_of_its_modes() -> None:
    model, data = golden.model("nemotron_labs_diffusion"), golden.forward("nemotron_labs_diffusion")
    prefix, block = data["prefix_ids"][0], data["block_ids"][0]
    whole, session = Session(model, 48), Session(model, 48)
    assert_close(whole.logits(whole.rows(prefix)), data["bidirectional_logits"][0])
    first, second = session.rows(prefix[:13], causal=True), session.rows(prefix[13:], 13, causal=True)
    assert_close(torch.cat((session.logits(first), session.logits(second))), data["causal_logits"][0])
    for layer in (0, 1):
        assert_close(session.cached(layer, slice(40))[0], data[f"cache.{layer}.k"][0])
    drafted = session.logits(session.rows(block, 40, stored=False))
    assert_close(drafted, data["block_logits_bidirectional"][0])
    assert_close(session.logits(session.rows(block, 40, causal=True)), data["block_logits_causal"][0])


def test_nemotron_stretches_its_positions_as_the_reference_does() -> None:
    network, data = golden.model("nemotron_labs_diffusion").denoiser, golden.forward("nemotron_labs_diffusion")
    assert isinstance(network, Transformer)
    assert isinstance(network.rotary, YarnRotary)
    frequencies = network.rotary.frequencies(torch.device("cpu"))
    torch.testing.assert_close(frequencies, data["yarn_inv_freq"], atol=0, rtol=1e-6)
    assert network.rotary.yarn.attention_scaling == pytest.approx(float(data["yarn_attention_scaling"]))


@pytest.mark.parametrize("prompt", ["short", "long"])
@pytest.mark.parametrize("chunk", [64, 6])
def test_diffusion_gemma_encodes_denoises_and_goes_on(prompt: str, chunk: int) -> None:
    """A prompt, whole or in chunks; a canvas without and with self-conditioning; that canvas encoded; the next one."""
    model, data = golden.model("diffusion_gemma"), golden.forward("diffusion_gemma")
    found = {name.removeprefix(f"{prompt}."): tensor[0] for name, tensor in data.items() if name.startswith(prompt)}
    tokens, canvas, second = found["prompt_ids"], found["canvas"], found["canvas2"]
    context, length = len(tokens), len(tokens) + len(canvas)
    session = Session(model, length + len(canvas))
    encoded = [session.hidden(session.rows(part, at * chunk, causal=True)) for at, part in chunks(tokens, chunk)]
    assert_close(torch.cat(encoded), found["encoder_last_hidden"])
    assert_cached(session, found, "cache", context)
    drafted = session.logits(session.rows(canvas, context, stored=False, denoised=True))
    assert_close(drafted, found["logits_no_sc"])
    soft = found["self_conditioning_logits"].softmax(-1) @ model.denoiser.input_embedding
    refined = session.logits(session.rows(second, context, stored=False, denoised=True, soft=soft))
    assert_close(refined, found["logits_sc"])
    parts = [
        session.hidden(session.rows(part, context + at * chunk, causal=True)) for at, part in chunks(second, chunk)
    ]
    assert_close(torch.cat(parts), found["encoder2_last_hidden"])
    assert_cached(session, found, "cache2", length)
    following = session.logits(session.rows(canvas, length, stored=False, denoised=True))
    assert_close(following, found["logits_next_canvas"])


def chunks(tokens: Tensor, length: int) -> list[tuple[int, Tensor]]:
    return list(enumerate(blocks_of(tokens, length)))


def assert_cached(session: Session, found: dict[str, Tensor], name: str, length: int) -> None:
    """The reference forgets what has left a window."""
    for layer in range(len(session.model.denoiser.cache_shape)):
        kept = found[f"{name}.{layer}.k"]
        keys, values = session.cached(layer, slice(length - kept.shape[1], length))
        assert_close(keys, kept)
        assert_close(values, found[f"{name}.{layer}.v"])


def test_diffusion_gemma_encodes_and_denoises_in_one_pass() -> None:
    """A prompt, the canvas of another request and a self-conditioned one share a forward pass."""
    model, data = golden.model("diffusion_gemma"), golden.forward("diffusion_gemma")
    session = Session(model, 64, requests=2)
    session.hidden(session.rows(data["long.prompt_ids"][0], request=1, causal=True))
    soft = data["long.self_conditioning_logits"][0].softmax(-1) @ model.denoiser.input_embedding
    found = session.hidden(
        session.rows(data["short.prompt_ids"][0], causal=True),
        session.rows(data["short.canvas"][0], 5, stored=False, denoised=True),
        session.rows(data["long.canvas2"][0], 29, request=1, stored=False, denoised=True, soft=soft),
    )
    encoded, first, second = torch.split(found, [5, 16, 16])
    assert_close(encoded, data["short.encoder_last_hidden"][0])
    assert_close(golden.logits(model, first), data["short.logits_no_sc"][0])
    assert_close(golden.logits(model, second), data["long.logits_sc"][0])


def test_diffusion_gemma_has_layers_of_two_shapes() -> None:
    network = golden.model("diffusion_gemma").denoiser
    assert isinstance(network, DiffusionGemma)
    shapes = [(shape.kv_heads, shape.head_dim, shape.window) for shape in network.cache_shape]
    assert shapes == [(2, 12, 8), (2, 12, 8), (1, 24, None)] * 2


@pytest.mark.parametrize("family", ["llada2", "llada21"])
def test_the_router_chooses_and_weighs_the_same_experts(family: str) -> None:
    network, data = golden.model(family).denoiser, golden.forward(family)
    assert isinstance(network, Network)
    router = network.get_submodule("layers.1.mlp.gate")
    assert isinstance(router, Router)
    experts, weights = router(data["router.layer1.input"])
    order, reference = experts.sort(-1), data["router.layer1.topk_idx"].sort(-1)
    assert torch.equal(order.values, reference.values)
    expected = data["router.layer1.topk_weight"].gather(1, reference.indices)
    torch.testing.assert_close(weights.gather(1, order.indices), expected, atol=1e-5, rtol=0)
