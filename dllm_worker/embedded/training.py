"""The loop that trains an embedded model: wall-clock budget, averaged weights, exact resume.

The budget is time because the recipes run on whatever machine is at hand. Everything that a resumed run needs is
in one file, written atomically; batches are drawn from ``(seed, step)``, so a resumed run sees what an
uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

STATE_FILE = "training.pt"
LOG_FILE = "training.jsonl"


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How long and how hard to train. ``seconds`` counts over all resumed runs."""

    seconds: float
    learning_rate: float
    warmup_steps: int = 200
    final_share: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    average_decay: float = 0.999
    save_every_seconds: float = 120.0
    log_every_steps: int = 20


def learning_rate(plan: TrainingPlan, step: int, progress: float) -> float:
    """Linear warm-up by steps, then a cosine over the share of the time budget that is spent."""
    warmup = min(1.0, (step + 1) / plan.warmup_steps)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return plan.learning_rate * warmup * (plan.final_share + (1.0 - plan.final_share) * cosine)


class Optimizer(Protocol):
    """What the loop needs of an optimiser; the learning rate is set through ``param_groups``."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...

    def step(self) -> object: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


def adamw(parameters: Iterable[nn.Parameter], plan: TrainingPlan) -> torch.optim.AdamW:
    """AdamW which decays matrices only."""
    parameters = list(parameters)
    decayed = [p for p in parameters if p.ndim >= 2]
    plain = [p for p in parameters if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas, fused=True)


class Trainer:
    """Optimises ``model`` and keeps an exponential average of its weights, which is what gets exported."""

    def __init__(
        self, model: nn.Module, plan: TrainingPlan, directory: Path, optimizer: Optimizer | None = None
    ) -> None:
        self.model, self.plan, self.directory = model, plan, directory
        self.step, self.elapsed = 0, 0.0
        self.average = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
        self.optimizer = optimizer or adamw(model.parameters(), plan)
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / STATE_FILE).exists():
            self._resume()

    def run(self, loss: Callable[[int], Tensor]) -> None:
        """Train until the time is up; ``loss(step)`` draws the batch of that step and returns a scalar."""
        saved, marked = time.monotonic(), time.monotonic()
        while self.elapsed < self.plan.seconds:
            value = self._update(loss(self.step))
            self.step += 1
            now = time.monotonic()
            self.elapsed += now - marked
            marked = now
            if self.step % self.plan.log_every_steps == 0:
                self._log(value)
            if now - saved >= self.plan.save_every_seconds:
                self._save()
                saved = now
        self._save()

    def load_average(self) -> None:
        """Put the averaged weights into the model, for evaluation and export."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(self.average[name])

    def _update(self, loss: Tensor) -> float:
        rate = learning_rate(self.plan, self.step, self.elapsed / self.plan.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip_norm)
        self.optimizer.step()
        self.model.zero_grad(set_to_none=True)
        decay = min(self.plan.average_decay, (1 + self.step) / (10 + self.step))
        names, parameters = zip(*self.model.named_parameters(), strict=True)
        torch._foreach_lerp_([self.average[name] for name in names], [p.detach() for p in parameters], 1.0 - decay)
        return float(loss.detach())

    def _log(self, loss: float) -> None:
        row = {"step": self.step, "seconds": round(self.elapsed, 1), "loss": round(loss, 5)}
        with (self.directory / LOG_FILE).open("a") as log:
            log.write(json.dumps(row) + "\n")

    def _save(self) -> None:
        state = {
            "step": self.step,
            "elapsed": self.elapsed,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        partial = self.directory / f"{STATE_FILE}.partial"
        torch.save(state, partial)
        os.replace(partial, self.directory / STATE_FILE)

    def _resume(self) -> None:
        state = torch.load(self.directory / STATE_FILE, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed, self.average = state["step"], state["elapsed"], state["average"]
