"""Two optimisers that are stepped and saved as one."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer


class OptimizerPair:
    """Each half updates its own parameters; the parameter groups of both are listed together."""

    def __init__(self, first: Optimizer, second: Optimizer) -> None:
        self.halves = (first, second)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for half in self.halves for group in half.param_groups]

    def step(self) -> None:
        for half in self.halves:
            half.step()

    def state_dict(self) -> dict[str, Any]:
        return {"halves": [half.state_dict() for half in self.halves]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for half, state in zip(self.halves, state_dict["halves"], strict=True):
            half.load_state_dict(state)
