"""Who gets a place and pages, who is parked for whom, and whose prefixes are shared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Event, Finish, Request, SamplingParameters
from tests.dllm_worker.requests import QUICK, any_request, drain, finish, mixes, run, text

PROMPT = tuple(range(2, 72))


def asked(identity: str, **changes: object) -> Request:
    return replace(Request(identity, PROMPT, max_tokens=16), **changes)  # type: ignore[arg-type]


def one_after_another(model: LoadedModel, requests: list[Request]) -> dict[str, list[Event]]:
    """Every request alone, in one engine."""
    engine, events = Engine(model), {request.id: list[Event]() for request in requests}
    for request in requests:
        engine.add(request)
        drain(engine, events)
    return events


def test_an_equal_prompt_is_not_encoded_again(tiny_model: LoadedModel) -> None:
    events = one_after_another(tiny_model, [asked("a"), asked("b")])
    first, second = finish(events["a"]).usage, finish(events["b"]).usage
    assert (first.cached_tokens, second.cached_tokens) == (0, 64)
    assert second.position_forwards == first.position_forwards - 64
    assert text(events["b"]) == text(events["a"])


def test_an_answer_is_shared_with_the_next_turn(tiny_model: LoadedModel) -> None:
    first = asked("a", max_tokens=40, sampling=SamplingParameters(eos="ignore"))
    prompt = (*PROMPT, *text(run(tiny_model, [first])["a"]), 5, 6)
    events = one_after_another(tiny_model, [first, Request("b", prompt, max_tokens=8)])
    assert finish(events["b"]).usage.cached_tokens == 96


def test_other_salts_and_other_blocks_share_nothing(tiny_model: LoadedModel) -> None:
    mix = [asked("a"), asked("b", cache_salt="tenant"), asked("c", canvas_length=16), asked("d", canvas_length=16)]
    events = one_after_another(tiny_model, mix)
    assert [finish(events[name]).usage.cached_tokens for name in "abcd"] == [0, 0, 0, 64]


@QUICK
@given(any_request("a"), any_request("b"))
def test_what_others_have_cached_changes_no_token(tiny_model: LoadedModel, a: Request, b: Request) -> None:
    longer = replace(b, prompt=(*a.prompt, *b.prompt))
    events = one_after_another(tiny_model, [a, longer, replace(longer, id="c")])
    assert text(events["b"]) == text(events["c"]) == text(run(tiny_model, [longer])["b"])


def test_a_prefix_that_is_still_used_is_shared(tiny_model: LoadedModel) -> None:
    engine, events = Engine(tiny_model), {"a": list[Event](), "b": list[Event]()}
    engine.add(asked("a", max_tokens=100))
    for _ in range(3):
        events["a"] += engine.step()
    engine.add(asked("b"))
    drain(engine, events)
    assert finish(events["b"]).usage.cached_tokens == 64


def test_the_more_urgent_goes_first(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1))
    engine.add(asked("late", deadline=20.0))
    engine.add(asked("soon", deadline=10.0))
    engine.add(asked("none"))
    order = [event.request_id for _ in range(300) for event in engine.step() if isinstance(event, Finish)]
    assert order == ["soon", "late", "none"]


@pytest.mark.parametrize("limits", [EngineLimits(max_running=1), EngineLimits(cache_positions=128)])
def test_the_important_one_displaces_another_which_loses_nothing(tiny_model: LoadedModel, limits: EngineLimits) -> None:
    low, high = asked("low", max_tokens=50, cache_salt="low"), asked("high", priority=1, cache_salt="high")
    engine, events = Engine(tiny_model, limits), {"low": list[Event](), "high": list[Event]()}
    engine.add(low)
    for _ in range(6):
        events["low"] += engine.step()
    engine.add(high)
    events["high"] += [event for event in engine.step() if event.request_id == "high"]
    assert (engine.admitted("high"), engine.admitted("low")) == (True, False)
    drain(engine, events)
    assert engine.stats().preemptions == 1
    assert text(events["low"]) == text(run(tiny_model, [low])["low"])
    assert text(events["high"]) == text(run(tiny_model, [high])["high"])


def test_equals_do_not_displace_each_other(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model, EngineLimits(max_running=1))
    engine.add(asked("a", max_tokens=50))
    engine.step()
    engine.add(asked("b", deadline=0.0))
    engine.step()
    assert engine.admitted("a")
    assert engine.stats().preemptions == 0


@QUICK
@given(mixes, st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(1, 3))
def test_whatever_is_displaced_the_answers_stay(
    tiny_model: LoadedModel, mix: tuple[Request, ...], priorities: list[int], apart: int
) -> None:
    requests = [replace(request, priority=priority) for request, priority in zip(mix, priorities, strict=True)]
    engine = Engine(tiny_model, EngineLimits(max_running=2, cache_positions=128, position_budget=64))
    events = {request.id: list[Event]() for request in requests}
    for request in requests:
        engine.add(request)
        for _ in range(apart):
            for event in engine.step():
                events[event.request_id].append(event)
    drain(engine, events)
    for request in requests:
        assert text(events[request.id]) == text(run(tiny_model, [request])[request.id])
