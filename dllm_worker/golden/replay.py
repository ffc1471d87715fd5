"""A scenario through the engine, and all that can be observed of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from dllm_worker.cache.prefix import page_size_of
from dllm_worker.canvas import total_length
from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.golden.record import GoldenError
from dllm_worker.golden.scenario import Scenario, Tokens
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Event, Finish, Request, RequestError, Usage

STREAMS = 2
"""A guided request has keys and values without its prompt as well."""


@dataclass(slots=True)
class Outcome:
    """What the engine did with one request. ``told`` are the tokens of its events, ``usage`` is that of the end.

    ``failure`` says why there is no end.
    """

    request: Request
    traces: list[StepTrace] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    usage: Usage | None = None
    failure: str | None = None

    @property
    def tokens(self) -> Tokens:
        """Prompt and answer as the passes left them."""
        tokens = list(self.request.prompt)
        for trace in self.traces:
            end = trace.start + len(trace.after)
            tokens[trace.start : end] = trace.after
        return tuple(tokens)


def replay(scenario: Scenario, model: LoadedModel) -> list[Outcome]:
    """Run the rows of ``scenario`` in one batch; a row that the engine refuses or cannot finish says so itself."""
    spec, nothing = scenario.spec, torch.empty(0, dtype=torch.int64, device=model.device)
    model = replace(model, description=replace(model.description, spec=spec), suppressed=nothing)
    outcomes = {row.request.id: Outcome(row.request) for row in scenario.rows}

    def observe(trace: StepTrace) -> None:
        outcomes[trace.request_id].traces.append(trace)

    engine = Engine(model, _limits(scenario, model), scenario.draws, observe)
    try:
        for row in scenario.rows:
            engine.add(row.request)
        while engine.has_work:
            _take(engine.step(), outcomes)
            if scenario.enough is not None and scenario.enough([tuple(o.told) for o in outcomes.values()]):
                _abort(engine, outcomes)
    except RequestError as error:
        _fail(outcomes, f"{error.parameter}: {error}")
    except GoldenError as error:
        _fail(outcomes, str(error))
    return list(outcomes.values())


def _limits(scenario: Scenario, model: LoadedModel) -> EngineLimits:
    """Room for everything at once, so that no pass is cut or put off."""
    page = page_size_of(model.spec)
    longest = max((total_length(row.request) for row in scenario.rows), default=0)
    positions = len(scenario.rows) * STREAMS * (-(-longest // page) + 1) * page
    return EngineLimits(max(1, len(scenario.rows)), positions, positions, positions)


def _take(events: Iterable[Event], outcomes: dict[str, Outcome]) -> None:
    for event in events:
        if isinstance(event, Commit):
            outcomes[event.request_id].told += event.tokens
        elif isinstance(event, Finish):
            outcomes[event.request_id].usage = event.usage


def _abort(engine: Engine, outcomes: dict[str, Outcome]) -> None:
    for name, outcome in outcomes.items():
        end = engine.abort(name)
        if end is not None:
            outcome.usage = end.usage


def _fail(outcomes: dict[str, Outcome], reason: str) -> None:
    for outcome in outcomes.values():
        if outcome.usage is None:
            outcome.failure = reason
