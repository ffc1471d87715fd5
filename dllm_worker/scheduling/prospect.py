"""What an engine has before it: the forecasts of its requests, by what earlier ones took. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

from dllm_worker.forecast import AHEAD, Reached, refresh_ahead, work_left
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Request, Usage
from dllm_worker.spec import ModelSpec

FIRST_TOKENS_PER_STEP = 2.0
"""What a step is taken to settle before any request has ended."""

WEIGHT = 0.1
"""Of the latest request in the mean of what a step settles."""


class Prospect:
    """Knows how many tokens a denoising step has settled on average, the latest requests counting most."""

    def __init__(self, spec: ModelSpec, limits: EngineLimits) -> None:
        self._spec, self._budget = spec, limits.step_budget
        self.tokens_per_step = FIRST_TOKENS_PER_STEP

    def learn(self, usage: Usage) -> None:
        """Count a request that has ended."""
        if usage.denoising_steps and usage.completion_tokens:
            settled = usage.completion_tokens / usage.denoising_steps
            self.tokens_per_step += WEIGHT * (settled - self.tokens_per_step)

    def backlog(self, requests: Iterable[tuple[Request, Reached]]) -> int:
        """Position-forwards that all of them are expected to take."""
        return sum(work_left(request, self._spec, at, self.tokens_per_step) for request, at in requests)

    def refresh_due(self, requests: Iterable[tuple[Request, Reached]]) -> tuple[int, ...]:
        """Positions of the refresh phase in each of the next steps; what exceeds a step's share is left to the next."""
        ahead = [refresh_ahead(request, self._spec, at, self.tokens_per_step) for request, at in requests]
        due, left = [], 0
        for positions in map(sum, zip(*ahead, strict=True)) if ahead else repeat(0, AHEAD):
            left += positions
            due.append(min(left, self._budget.refresh_share))
            left -= due[-1]
        return tuple(due)
