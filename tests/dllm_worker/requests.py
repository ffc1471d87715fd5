"""Random requests to the small models of ``conftest``, and what comes of running them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Draft, Event, Finish, Request, SamplingParameters
from tests.dllm_worker.conftest import VOCABULARY

QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RULES = [
    "low_confidence",
    "low_entropy",
    "topk_margin",
    "maskgit_plus",
    "random",
    "ancestral",
    "leftmost",
    "confidence_threshold",
    "capped_threshold",
    "quota_threshold",
    "factor",
    "entropy_bound",
    "entropy_sum",
]
"""Algorithms that every model with a mask runs, on templates too, and that never take a token back."""

sampling = st.builds(
    SamplingParameters,
    algorithm=st.sampled_from(RULES),
    max_steps=st.one_of(st.none(), st.integers(1, 10)),
    schedule=st.sampled_from(["linear", "cosine", "dream", "even", "rounded"]),
    quota=st.sampled_from([None, None, 3]),
    threshold=st.sampled_from([0.05, 0.2, 0.9]),
    factor=st.sampled_from([0.5, 1.0, 2.0]),
    entropy_bound=st.sampled_from([0.0, 3.0, 10.0]),
    entropy_exit=st.sampled_from([None, 2.0]),
    gap_exit=st.sampled_from([None, 0.1]),
    leftmost_eos=st.booleans(),
    temperature=st.sampled_from([0.0, 0.7, 1.5]),
    top_p=st.sampled_from([1.0, 0.8]),
    guidance=st.sampled_from([0.0, 0.0, 0.5]),
    seed=st.integers(0, 9),
)
tokens = st.integers(2, VOCABULARY - 1)


def continuations(identity: str) -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        id=st.just(identity),
        prompt=st.lists(tokens, max_size=40).map(tuple),
        max_tokens=st.integers(1, 20),
        canvas_length=st.sampled_from([None, 4, 16]),
        sampling=sampling,
        drafts=st.booleans(),
    )


def templates(identity: str) -> st.SearchStrategy[Request]:
    holes = st.lists(st.one_of(st.none(), tokens), max_size=20).map(lambda cells: (*cells, None))
    return st.builds(
        Request,
        id=st.just(identity),
        prompt=st.lists(tokens, max_size=20).map(tuple),
        template=holes,
        sampling=sampling,
        drafts=st.booleans(),
    )


def any_request(identity: str) -> st.SearchStrategy[Request]:
    return st.one_of(continuations(identity), templates(identity))


mixes = st.tuples(any_request("a"), any_request("b"), any_request("c"), any_request("d"))


def run(model: LoadedModel, requests: Sequence[Request], limits: EngineLimits | None = None) -> dict[str, list[Event]]:
    """Every request's events; the engine is checked after each step and must end empty."""
    engine = Engine(model, limits)
    for request in requests:
        engine.add(request)
    events: dict[str, list[Event]] = {request.id: [] for request in requests}
    drain(engine, events)
    return events


def drain(engine: Engine, events: dict[str, list[Event]]) -> None:
    """Step until nothing is left, and see that nothing is left."""
    while engine.has_work:
        for event in engine.step():
            events[event.request_id].append(event)
        engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages


def in_any_company(events: Sequence[Event]) -> list[Event]:
    """``events`` without what depends on who else is there: the number of passes that only wrote context.

    With room in the step, they include the next canvas.
    """
    return [
        event
        if isinstance(event, Draft)
        else replace(event, usage=replace(event.usage, prefill_forwards=0, commit_forwards=0, cached_tokens=0))
        for event in events
    ]


def text(events: Sequence[Event]) -> list[int]:
    return [token for event in events if isinstance(event, Commit) for token in event.tokens]


def finish(events: Sequence[Event]) -> Finish:
    assert isinstance(events[-1], Finish)
    assert sum(isinstance(event, Finish) for event in events) == 1
    return events[-1]
