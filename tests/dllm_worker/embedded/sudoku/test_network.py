from __future__ import annotations

import math

import torch

from dllm_worker.embedded.sudoku.network import attend_within_boards, deep_loss, fold_positions, loop_of, untrained
from dllm_worker.embedded.sudoku.solver import CELLS
from dllm_worker.embedded.sudoku.vocabulary import MASK_ID
from dllm_worker.models.rows import Rows


def test_folded_positions_compute_the_same() -> None:
    model, tokens, positions = untrained(0), torch.full((CELLS,), MASK_ID), torch.arange(CELLS)
    before = model(Rows(tokens, positions), attend_within_boards)
    fold_positions(model)
    assert model.get_parameter("embed_positions.weight").shape == (CELLS, model.config.hidden_size)
    torch.testing.assert_close(model(Rows(tokens, positions), attend_within_boards), before)


def test_boards_of_a_batch_do_not_see_each_other() -> None:
    query, key, value = torch.randn(3, 2 * CELLS, 4, 32, generator=torch.Generator().manual_seed(0))
    together = attend_within_boards(0, query, key, value)
    alone = attend_within_boards(0, query[:CELLS], key[:CELLS], value[:CELLS])
    torch.testing.assert_close(together[:CELLS], alone)


def test_the_loops_end_where_the_network_ends() -> None:
    model, tokens = untrained(0), torch.arange(CELLS) % MASK_ID
    x = model.embed_tokens(tokens) + model.embed_positions(torch.arange(CELLS))
    loop = loop_of(model)
    for _ in range(model.config.num_layer_repeats):
        x, logits = loop(x)
    torch.testing.assert_close(logits, model.lm_head(model(Rows(tokens, torch.arange(CELLS)), attend_within_boards)))


def test_random_weights_know_nothing_and_only_holes_count() -> None:
    model = untrained(0)
    targets = torch.arange(CELLS)[None] % 9
    tokens = torch.where(torch.arange(CELLS) < 40, MASK_ID, targets)
    loss = deep_loss(model, loop_of(model), tokens, targets)
    assert abs(float(loss.detach()) - math.log(model.config.vocab_size)) < 1.0
    elsewhere = torch.where(torch.arange(CELLS) < 40, targets, (targets + 1) % 9)
    assert torch.equal(deep_loss(model, loop_of(model), tokens, elsewhere), loss)
