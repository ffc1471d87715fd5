"""The engine's invariants on every family, with every algorithm that it runs: alone, in a mix, and interrupted."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from dllm_worker.capabilities import refusal
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Algorithm, CacheParameters, Commit, Draft, Event, Finish, Request, SamplingParameters
from dllm_worker.sampling.samplers import SAMPLERS
from dllm_worker.spec import ModelSpec
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import drain, finish, in_any_company, run, text
from tests.dllm_worker.test_checkpoint import interrupted, resumed

PROMPT = tuple(range(3, 24))
TEMPLATE = (None, None, 7, None, 8, 9, None)
LEFT_TO_RIGHT = ("autoregressive", "linear_speculation", "pipelined")
CACHES = (CacheParameters("prefix"), CacheParameters("dual"), CacheParameters("vicinity", 3, before=4, after=2))


@pytest.fixture(scope="module", params=families.CONFIGS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    return load_model(families.write(path, families.CONFIGS[request.param]))


def requests(spec: ModelSpec) -> list[Request]:
    """Each algorithm that the model runs, as a continuation and as an infill; then caches and guidance."""
    able: list[Algorithm] = [name for name in get_args(Algorithm) if refusal(name, spec) is None]
    masks = spec.corruption == "absorbing"
    asked = []
    for i, name in enumerate(able):
        heat = 0.8 * (i % 2) if masks else 0.0
        how = SamplingParameters(name, threshold=0.3, max_steps=9, temperature=heat, entropy_exit=0.1, seed=i)
        asked.append(Request(name, PROMPT[: 4 + i], max_tokens=20 + i, sampling=how, drafts=True))
        if name not in LEFT_TO_RIGHT:
            asked.append(Request(f"{name} infill", PROMPT[:7], TEMPLATE, sampling=how, drafts=True))
    if masks:
        guided = SamplingParameters(threshold=0.3, guidance=1.5)
        asked.append(Request("guided", PROMPT, max_tokens=20, sampling=guided, drafts=True))
    return asked + [replace(asked[0], id=f"{cache.kind} cache", canvas_length=6, cache=cache) for cache in caches(spec)]


def caches(spec: ModelSpec) -> list[CacheParameters]:
    if spec.context_attention == "bidirectional":
        return list(CACHES)
    return [CacheParameters("dual")] if spec.sub_canvas_length else []


@pytest.fixture(scope="module")
def together(model: LoadedModel) -> dict[str, list[Event]]:
    return run(model, requests(model.spec), EngineLimits(position_budget=160, cache_positions=2048))


def test_a_request_gives_the_same_alone_and_in_a_mix(model: LoadedModel, together: dict[str, list[Event]]) -> None:
    for request in requests(model.spec):
        alone = run(model, [request])[request.id]
        assert in_any_company(alone) == in_any_company(together[request.id]), request.id


@pytest.mark.parametrize("steps", [[1, 1], [2], [3, 4]])
def test_an_interrupted_request_ends_as_an_uninterrupted_one(
    model: LoadedModel, together: dict[str, list[Event]], steps: list[int]
) -> None:
    for request in requests(model.spec):
        pieces = interrupted(model, request, steps)
        assert text(pieces) == text(together[request.id]), request.id
        assert finish(pieces).reason == finish(together[request.id]).reason


def test_a_checkpoint_goes_on_from_any_step_while_the_request_runs_on(
    model: LoadedModel, together: dict[str, list[Event]]
) -> None:
    for i, request in enumerate(requests(model.spec)):
        engine, events = Engine(model), {request.id: list[Event]()}
        engine.add(request)
        for _ in range(1 + i % 5):
            events[request.id] += engine.step()
        checkpoint = engine.checkpoint(request.id)
        told = text(events[request.id])
        drain(engine, events)
        assert text(events[request.id]) == text(together[request.id]), request.id
        if checkpoint is not None:
            rest = resumed(model, request, checkpoint)
            assert told + text(rest) == text(together[request.id]), request.id
            assert finish(rest).reason == finish(together[request.id]).reason


def test_a_request_that_concludes_ends_with_the_canvas_it_has(model: LoadedModel) -> None:
    for i, request in enumerate(requests(model.spec)):
        engine, events = Engine(model), {request.id: list[Event]()}
        engine.add(request)
        for _ in range(1 + i % 4):
            events[request.id] += engine.step()
        if not engine.has_work:
            continue
        steps, told, seen = engine.usage(request.id).denoising_steps, text(events[request.id]), len(events[request.id])
        at_once = engine.conclude(request.id)
        events[request.id] += [] if at_once is None else [at_once]
        drain(engine, events)
        answer, last = text(events[request.id]), finish(events[request.id])
        assert last.reason == "deadline", request.id
        assert last.usage.denoising_steps <= steps + 1
        assert answer[: len(told)] == told
        shown = [event for event in events[request.id][seen:] if isinstance(event, Draft)]
        assert (not shown) == (at_once is not None), request.id
        if request.sampling.algorithm != "linear_speculation":
            assert whole_or_ended(answer, shown), request.id


def whole_or_ended(answer: list[int], shown: list[Draft]) -> bool:
    """Whether ``answer`` reaches the end of the canvases that were ``shown`` last, or an end of sequence there."""
    cells = {draft.start + i: token for draft in shown for i, token in enumerate(draft.tokens)}
    unmasked = all(draft.masked == 0 for draft in shown)
    return unmasked and (not cells or cells.get(len(answer), families.EOS) == families.EOS)


def test_the_answer_is_whole(model: LoadedModel, together: dict[str, list[Event]]) -> None:
    for request in requests(model.spec):
        answer, last = text(together[request.id]), finish(together[request.id])
        assert not set(answer) & set(model.spec.suppressed_token_ids)
        if request.template is not None:
            assert all(cell in (None, token) for cell, token in zip(request.template, answer, strict=True))
        elif last.reason == "length":
            assert len(answer) == request.max_tokens
        else:
            assert isinstance(last, Finish)
            assert len(answer) < request.max_tokens


def test_drafts_show_what_is_committed(model: LoadedModel, together: dict[str, list[Event]]) -> None:
    """The last draft before a commit holds the committed tokens, and what a monotone algorithm accepted stays."""
    for request in requests(model.spec):
        shown: dict[int, int] = {}
        for event in together[request.id]:
            if isinstance(event, Draft):
                shown |= {event.start + i: token for i, token in enumerate(event.tokens)}
            elif isinstance(event, Commit) and request.sampling.algorithm != "linear_speculation":
                assert event.tokens == tuple(shown[event.start + i] for i in range(len(event.tokens))), request.id
        drafts = [event for event in together[request.id] if isinstance(event, Draft)]
        if SAMPLERS[request.sampling.algorithm].monotone:
            for before, after in itertools.pairwise(drafts):
                if before.canvas == after.canvas:
                    kept = [(b, a) for b, a in zip(before.tokens, after.tokens, strict=True) if b != families.MASK]
                    assert all(b == a for b, a in kept)


def test_linear_speculation_equals_autoregressive_decoding(tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS["nemotron_labs_diffusion"]))
    ways = [SamplingParameters("autoregressive"), SamplingParameters("linear_speculation", threshold=0.0)]
    answers = [text(run(model, [Request("a", PROMPT, max_tokens=24, sampling=way)])["a"]) for way in ways]
    assert answers[0] == answers[1]
    assert len(answers[0]) > 0
