"""Run requests to their end, and count the work that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dllm_worker.cache.prefix import page_size_of
from dllm_worker.canvas import total_length
from dllm_worker.decoding.step import Observe
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Finish, Request, Usage
from dllm_worker.work import Work

POSITION_BUDGET = 4096
"""Position-forwards of a step: every canvas measured here is denoised in each."""


@dataclass(slots=True)
class Answers:
    """By request: the committed tokens, and what the request has used."""

    tokens: dict[str, list[int]] = field(default_factory=dict)
    usages: dict[str, Usage] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Tokens of all answers."""
        return sum(len(tokens) for tokens in self.tokens.values())

    @property
    def tokens_per_forward(self) -> float:
        return self.count / sum(usage.forward_passes for usage in self.usages.values())

    def equal_to(self, expected: list[int]) -> float:
        """The share of answers that are ``expected``, token by token."""
        return sum(tokens == expected for tokens in self.tokens.values()) / len(self.tokens)


def limits_for(model: LoadedModel, requests: Sequence[Request]) -> EngineLimits:
    """Room for all of ``requests`` at once, and no more."""
    page = page_size_of(model.spec)
    positions = sum(total_length(request) + page for request in requests)
    return EngineLimits(max_running=len(requests), position_budget=POSITION_BUDGET, cache_positions=positions)


def answer(model: LoadedModel, requests: Sequence[Request], observe: Observe | None = None) -> Answers:
    """Run ``requests`` together until none is left."""
    engine, answers = Engine(model, limits_for(model, requests), observe=observe), Answers()
    for request in requests:
        engine.add(request)
    collect(engine, answers)
    return answers


def collect(engine: Engine, answers: Answers, steps: int | None = None) -> None:
    """Add to ``answers`` what comes of so many further steps, or of all that there are."""
    while engine.has_work and steps != 0:
        steps = None if steps is None else steps - 1
        for event in engine.step():
            if isinstance(event, Commit):
                answers.tokens.setdefault(event.request_id, []).extend(event.tokens)
            elif isinstance(event, Finish):
                answers.usages[event.request_id] = event.usage


def work_of(model: LoadedModel, requests: Sequence[Request]) -> list[Work]:
    """The work of each pass that answers ``requests``, which is the same whenever they are run together."""
    engine, works, before = Engine(model, limits_for(model, requests)), [], Work(0, 0)
    for request in requests:
        engine.add(request)
    while engine.has_work:
        engine.step()
        stats = engine.stats()
        works.append(Work(stats.flops - before.flops, stats.bytes - before.bytes))
        before = Work(stats.flops, stats.bytes)
    return works
