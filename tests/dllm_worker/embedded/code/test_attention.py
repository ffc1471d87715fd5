from __future__ import annotations

import pytest
import torch

from dllm_worker.embedded.code.attention import additive, dense_attend, sequence_mask, two_stream_mask
from dllm_worker.models.embedded import EmbeddedConfig, EmbeddedDenoiser
from dllm_worker.models.rows import Rows
from dllm_worker.spec import ContextAttention

CONFIG = EmbeddedConfig(
    vocab_size=40,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=64,
)


@pytest.mark.parametrize(
    ("attention", "forward", "backward", "ahead_in_block"),
    [("bidirectional", True, True, True), ("block_causal", False, True, True), ("causal", False, True, False)],
)
def test_who_sees_whom_in_512_positions_with_blocks_of_256(
    attention: ContextAttention, forward: bool, backward: bool, ahead_in_block: bool
) -> None:
    mask = sequence_mask(512, attention, 256)
    assert bool(mask[10, 300]) is forward
    assert bool(mask[300, 10]) is backward
    assert bool(mask[10, 200]) is ahead_in_block


@pytest.mark.parametrize("attention", ["block_causal", "causal"])
def test_noised_rows_see_their_block_and_clean_text_before_it(attention: ContextAttention) -> None:
    mask = two_stream_mask(256, attention, 32)
    assert mask[40, 33]
    assert mask[40, 256 + 31]
    assert not mask[40, 256 + 32]
    assert not mask[40, 31]
    assert not mask[256 + 40, :256].any()


@pytest.mark.parametrize("attention", ["block_causal", "causal"])
def test_every_block_is_seen_as_a_canvas_behind_clean_context(attention: ContextAttention) -> None:
    """The two-stream layout gives each noised block what a forward pass over its prefix and itself would give."""
    torch.manual_seed(0)
    model, length, block = EmbeddedDenoiser(CONFIG), 24, 8
    clean, noised = torch.randint(40, (length,)), torch.randint(40, (length,))
    positions = torch.arange(length)
    bias = additive(two_stream_mask(length, attention, block), torch.float32)
    both = model(Rows(torch.cat((noised, clean)), positions.repeat(2)), dense_attend(1, bias))[:length]
    for start in range(0, length, block):
        stop = start + block
        mask = sequence_mask(stop, attention, block)
        mask[start:] = True
        attend = dense_attend(1, additive(mask, torch.float32))
        alone = model(Rows(torch.cat((clean[:start], noised[start:stop])), positions[:stop]), attend)[start:]
        torch.testing.assert_close(both[start:stop], alone)


def test_sequences_of_a_batch_do_not_see_each_other() -> None:
    query, key, value = torch.randn(3, 12, 2, 16).unbind()
    together = dense_attend(2, None)(0, query, key, value)
    alone = dense_attend(1, None)(0, query[6:], key[6:], value[6:])
    torch.testing.assert_close(together[6:], alone)
