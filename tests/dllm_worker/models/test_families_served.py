"""The engine's invariants on every published family: the same in any batch, pinned stays, nothing is left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from dllm_worker.engine import Engine, EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Draft, Event, Finish, Request, SamplingParameters
from tests.dllm_worker.models import families
from tests.dllm_worker.models.families import MASK

RULES = (
    SamplingParameters(algorithm="low_confidence", max_steps=5, schedule="cosine"),
    SamplingParameters(algorithm="random", max_steps=6, temperature=0.9, top_p=0.9, seed=5),
    SamplingParameters(threshold=0.3, temperature=0.7, top_k=20, seed=3),
    SamplingParameters(algorithm="entropy_bound", entropy_bound=2.0, leftmost_eos=True),
)
PROMPT = tuple(range(3, 24))
TEMPLATE = (None, None, 7, None, 8, 9, None)


@pytest.fixture(scope="module", params=list(families.CONFIGS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    return load_model(families.write(path, families.CONFIGS[request.param]))


def requests(model: LoadedModel) -> list[Request]:
    asked = [
        Request(f"continue-{i}", PROMPT[: 5 * i + 2], max_tokens=9 + 5 * i, sampling=rule, drafts=True)
        for i, rule in enumerate(RULES)
    ]
    infill = Request("infill", PROMPT[:6], template=TEMPLATE, sampling=RULES[2], drafts=True)
    length = None if model.spec.context_attention == "bidirectional" else 8
    block = Request("block", PROMPT, max_tokens=20, canvas_length=length, sampling=RULES[0], drafts=True)
    return [*asked, infill, block]


def run(model: LoadedModel, asked: Sequence[Request]) -> dict[str, list[Event]]:
    """Every request's events; the engine is checked after each step and ends empty."""
    engine = Engine(model, EngineLimits(position_budget=96, cache_positions=512))
    events: dict[str, list[Event]] = {request.id: [] for request in asked}
    for request in asked:
        engine.add(request)
    while engine.has_work:
        for event in engine.step():
            events[event.request_id].append(event)
        engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages
    return events


def test_a_request_gives_the_same_alone_and_in_a_mix(model: LoadedModel) -> None:
    together = run(model, requests(model))
    for request in requests(model):
        assert run(model, [request])[request.id] == together[request.id]


def test_what_is_accepted_or_pinned_stays_and_no_mask_comes_out(model: LoadedModel) -> None:
    for name, events in run(model, requests(model)).items():
        drafts = [event for event in events if isinstance(event, Draft)]
        for before, after in itertools.pairwise(drafts):
            if before.canvas == after.canvas:
                kept = [(b, a) for b, a in zip(before.tokens, after.tokens, strict=True) if b != MASK]
                assert all(b == a for b, a in kept)
        answer = [token for event in events if isinstance(event, Commit) for token in event.tokens]
        assert MASK not in answer
        assert isinstance(events[-1], Finish)
        if name == "infill":
            assert all(cell in (None, token) for cell, token in zip(TEMPLATE, answer, strict=True))


def test_only_models_with_a_context_have_a_cache(model: LoadedModel) -> None:
    assert (Engine(model).stats().pages == 0) is (model.spec.context_attention == "bidirectional")


@pytest.mark.parametrize("family", families.CONFIGS)
def test_half_precision_is_served(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = families.write(tmp_path_factory.mktemp("half"), families.CONFIGS[family])
    model = load_model(path, "bfloat16")
    events = run(model, requests(model)[:2])
    assert all(isinstance(told[-1], Finish) for told in events.values())
