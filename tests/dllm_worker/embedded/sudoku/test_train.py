from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dllm_worker.embedded.optimizer import muon
from dllm_worker.embedded.sudoku import train
from dllm_worker.embedded.sudoku.boards import BoardMix, draw_boards
from dllm_worker.embedded.sudoku.network import deep_loss, loop_of, untrained


def test_the_bases_are_dug_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "TRAINING_SEEDS", range(3))
    dug = train.bases_in(tmp_path / "run", processes=1)
    monkeypatch.setattr(train, "TRAINING_SEEDS", range(0))
    kept = train.bases_in(tmp_path / "run", processes=1)
    assert torch.equal(dug.tokens, kept.tokens)
    assert torch.equal(dug.rounds, kept.rounds)


def test_each_parameter_is_optimised_once() -> None:
    model = untrained(0)
    groups = muon(model, train.training_plan(60.0)).param_groups
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(id(p) for p in model.parameters())


def test_a_few_updates_lower_the_loss() -> None:
    tokens, targets = draw_boards(train.bases_of(range(4)), 4, BoardMix(), torch.Generator().manual_seed(0))
    model = untrained(0)
    optimizer = muon(model, train.training_plan(60.0))
    losses = []
    for _ in range(8):
        loss = deep_loss(model, loop_of(model), tokens, targets)
        losses.append(float(loss.detach()))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.zero_grad()
    assert losses[-1] < losses[0] - 0.3


def test_what_was_trained_is_found_again(tmp_path: Path) -> None:
    trainer = train.trainer_of(untrained(0), tmp_path, seconds=0.0)
    trainer.average["norm.weight"] += 1.0
    trainer.run(lambda step: torch.zeros(()))
    assert torch.equal(train.trained(tmp_path).norm.weight, torch.full((128,), 2.0))
