"""Run requests to their end, and count the work that it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from dllm_worker.cache.attention import Segment, SegmentAttention
from dllm_worker.cache.prefix import page_size_of
from dllm_worker.cache.shape import CacheShape
from dllm_worker.canvas import total_length
from dllm_worker.decoding.step import Observe
from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.blocks import Attend
from dllm_worker.models.head import Head
from dllm_worker.models.loading import Denoiser, LoadedModel
from dllm_worker.models.rows import Rows
from dllm_worker.request import Commit, Finish, Request, Usage
from dllm_worker.work import Look, Work, network_cost

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


class RecordedDenoiser:
    """A denoiser that keeps the segments of every pass."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.passes: list[list[Look]] = []

    @property
    def head(self) -> Head:
        return self.denoiser.head

    @property
    def input_embedding(self) -> Tensor:
        return self.denoiser.input_embedding

    @property
    def cache_shape(self) -> CacheShape:
        return self.denoiser.cache_shape

    def __call__(self, rows: Rows, attend: Attend) -> Tensor:
        if not isinstance(attend, SegmentAttention):
            raise TypeError("only the engine's own passes are recorded")
        self.passes.append([_look(segment) for segment in attend.segments])
        return self.denoiser(rows, attend)


def _look(segment: Segment) -> Look:
    after = 0 if segment.after is None else len(segment.after)
    rows, stored = segment.stop - segment.start, segment.store is not None
    return Look(rows, len(segment.before), after, stored, segment.causal)


def work_of(model: LoadedModel, requests: Sequence[Request]) -> list[Work]:
    """The work of each pass that answers ``requests``, which is the same whenever they are run together."""
    recorded = RecordedDenoiser(model.denoiser)
    predicted: list[int] = []

    def count(trace: StepTrace) -> None:
        passes = len(recorded.passes)
        predicted.extend([0] * (passes - len(predicted)))
        predicted[-1] += len(trace.eligible)

    answer(replace(model, denoiser=recorded), requests, count)
    cost, conditioned = network_cost(model.denoiser), model.spec.self_conditioning
    return [
        cost.of(looks, rows, rows if conditioned else 0) for looks, rows in zip(recorded.passes, predicted, strict=True)
    ]
