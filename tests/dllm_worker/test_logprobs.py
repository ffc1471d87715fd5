"""Log-probabilities of committed tokens: those of the step that set them, in any company and after any interruption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given

from dllm_worker.checkpoint import Checkpoint
from dllm_worker.decoding.trace import StepTrace
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Event, Request, RequestError, SamplingParameters, TokenLogprobs
from tests.dllm_worker.conftest import EOS
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import QUICK, any_request, drain, in_any_company, mixes, run, text
from tests.dllm_worker.test_checkpoint import interrupted, same, some
from tests.dllm_worker.test_families import requests

ASKED = 3
PLAIN = Request("a", (5, 6, 7), max_tokens=20, sampling=SamplingParameters("low_confidence"), logprobs=ASKED)


def told(events: Sequence[Event]) -> list[TokenLogprobs | None]:
    return [each for event in events if isinstance(event, Commit) for each in event.logprobs]


def values(entries: Sequence[TokenLogprobs | None]) -> list[float]:
    return [math.nan if each is None else each.logprob for each in entries]


def silent(events: Sequence[Event]) -> list[Event]:
    return [replace(event, logprobs=()) if isinstance(event, Commit) else event for event in events]


def observed(model: LoadedModel, request: Request) -> tuple[list[Event], list[StepTrace]]:
    traces: list[StepTrace] = []
    engine, events = Engine(model, observe=traces.append), {request.id: list[Event]()}
    engine.add(request)
    drain(engine, events)
    return events[request.id], traces


@QUICK
@given(any_request("a"))
def test_asking_changes_nothing_else_and_every_predicted_token_has_one(
    tiny_model: LoadedModel, request: Request
) -> None:
    events = run(tiny_model, [replace(request, logprobs=ASKED)])["a"]
    assert silent(events) == run(tiny_model, [request])["a"]
    template = request.template or (None,) * request.max_tokens
    ended = False
    for cell, token, each in zip(template, text(events), told(events), strict=False):
        if cell is not None:
            assert each is None
            ended = False
            continue
        assert each is not None or ended
        ended = ended or token == EOS
        if each is not None:
            assert each.logprob <= 0
            assert len(each.top) == ASKED
            assert [value for _, value in each.top] == sorted((value for _, value in each.top), reverse=True)
    assert len(told(events)) == len(text(events))


@QUICK
@given(mixes)
def test_they_are_the_same_alone_and_in_a_mix(tiny_model: LoadedModel, mix: tuple[Request, ...]) -> None:
    """Of four requests three ask, for different numbers of alternatives."""
    asked = [replace(request, logprobs=count) for request, count in zip(mix, (0, 2, 20, None), strict=True)]
    together = run(tiny_model, asked)
    for request in asked:
        assert in_any_company(together[request.id]) == in_any_company(run(tiny_model, [request])[request.id])


def test_they_are_those_of_the_step_that_accepted_the_token(tiny_model: LoadedModel) -> None:
    events, traces = observed(tiny_model, PLAIN)
    confidence = {
        position: trace.confidence[trace.eligible.index(position)] for trace in traces for position in trace.accepted
    }
    for position, each in enumerate(told(events), len(PLAIN.prompt)):
        assert each is not None
        assert math.isclose(math.exp(each.logprob), confidence[position], rel_tol=1e-4)


def test_an_edited_token_has_that_of_the_edit(tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS["llada2_moe"]))
    editing = SamplingParameters("joint_threshold", threshold=0.1, editing_threshold=0.2, eos="ignore")
    events, traces = observed(model, replace(PLAIN, sampling=editing))
    confidence: dict[int, float] = {}
    for trace in traces:
        own = dict(zip(trace.eligible, trace.confidence, strict=True))
        confidence |= {position: own[position] for position in (*trace.accepted, *trace.edited)}
    assert any(trace.edited for trace in traces)
    for position, each in enumerate(told(events), len(PLAIN.prompt)):
        assert each is not None
        assert math.isclose(math.exp(each.logprob), confidence[position], rel_tol=1e-4)


def test_they_are_the_model_s_own_at_every_temperature(tiny_model: LoadedModel) -> None:
    """A sampled token need not be the best; its own log-probability is that of the alternative it is."""
    hot = SamplingParameters("confidence_threshold", threshold=0.2, temperature=1.5, top_p=0.9, seed=3)
    events = run(tiny_model, [replace(PLAIN, sampling=hot, logprobs=20)])["a"]
    found = [(token, each) for token, each in zip(text(events), told(events), strict=True) if each is not None]
    ranks = [dict(each.top).get(token) for token, each in found]
    assert any(each.top[0][0] != token for token, each in found)
    assert all(value in (None, each.logprob) for value, (_, each) in zip(ranks, found, strict=True))


@pytest.mark.parametrize("family", families.CONFIGS)
def test_every_algorithm_of_every_family_tells_them(family: str, tmp_path: Path) -> None:
    """The best alternative of a greedy token is the token, and an interruption changes none of them.

    Checking a draft writes keys and values in other blocks than encoding them anew, which shows in the last bits.
    """
    model = load_model(families.write(tmp_path, families.CONFIGS[family]))
    asked = [replace(request, logprobs=1) for request in requests(model.spec) if request.template is None]
    together = run(model, asked)
    for request in asked:
        events = together[request.id]
        tokens, found = text(events), told(events)
        assert len(tokens) == len(found)
        again, checked = told(interrupted(model, request, [4])), request.sampling.algorithm == "linear_speculation"
        assert values(again) == pytest.approx(values(found), rel=1e-5 if checked else 0, abs=0), request.id
        if not request.sampling.temperature:
            best = [(each.top[0], each.logprob) for each in found if each is not None]
            assert best == [((token, value), value) for token, (_, value) in zip(tokens, best, strict=True)]


def test_a_canvas_that_is_filled_by_its_end_has_those_of_that_step(tiny_model: LoadedModel) -> None:
    engine, events = Engine(tiny_model), {"a": list[Event]()}
    engine.add(PLAIN)
    for _ in range(3):
        events["a"] += engine.step()
    engine.conclude("a")
    drain(engine, events)
    assert len(told(events["a"])) == len(text(events["a"])) > 3
    assert None not in told(events["a"])


def test_a_checkpoint_holds_those_that_are_not_told() -> None:
    waiting = {4: TokenLogprobs(-0.5, ((7, -0.5), (9, -2.25))), 9: TokenLogprobs(-1.0)}
    checkpoint = some(tokens=torch.arange(12), masked=torch.zeros(12, dtype=torch.bool), logprobs=waiting)
    again = Checkpoint.from_bytes(checkpoint.to_bytes())
    assert same(again, checkpoint)
    assert again.logprobs == waiting


@pytest.mark.parametrize("count", [-1, 21])
def test_no_more_than_twenty_are_told(tiny_model: LoadedModel, count: int) -> None:
    with pytest.raises(RequestError, match="logprobs"):
        Engine(tiny_model).add(replace(PLAIN, logprobs=count))
