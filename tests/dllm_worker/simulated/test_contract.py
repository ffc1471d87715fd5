"""What holds of an engine, whether it computes its steps or lets their time go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dllm_worker.engine import Engine
from dllm_worker.interface import CheckpointError, EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Draft, Event, Request, RequestError, SamplingParameters
from tests.dllm_worker.requests import finish, text
from tests.dllm_worker.simulated import devices

Make = Callable[..., Any]
SCHEDULED = SamplingParameters("low_confidence", max_steps=4, eos="ignore")
LONG = Request("a", (5,) * 20, max_tokens=28, sampling=SCHEDULED, drafts=True)


@pytest.fixture(params=["computed", "simulated"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "simulated":
        return devices.engine
    model: LoadedModel = request.getfixturevalue("tiny_model")
    return lambda limits=None: Engine(model, limits)


def drain(engine: Any, *ids: str) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = {name: [] for name in ids}
    while engine.has_work:
        for event in engine.step():
            events[event.request_id].append(event)
        engine.check_integrity()
    assert engine.stats().free_pages == engine.stats().pages
    return events


def alone(make: Make, request: Request) -> list[Event]:
    engine = make()
    engine.add(request)
    return drain(engine, request.id)[request.id]


def test_an_answer_is_whole_and_in_order(make: Make) -> None:
    events = alone(make, LONG)
    commits = [event for event in events if isinstance(event, Commit)]
    assert [commit.start for commit in commits] == [
        sum(len(earlier.tokens) for earlier in commits[:i]) for i in range(len(commits))
    ]
    assert len(text(events)) == LONG.max_tokens
    assert finish(events).reason == "length"
    usage = finish(events).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.canvases) == (20, 28, 4)
    assert usage.denoising_steps == 16


def test_drafts_show_what_is_committed(make: Make) -> None:
    shown: dict[int, int] = {}
    for event in alone(make, LONG):
        if isinstance(event, Draft):
            assert event.tokens.count(devices.MASK) == event.masked
            shown |= {event.start + i: token for i, token in enumerate(event.tokens)}
        elif isinstance(event, Commit):
            assert event.tokens == tuple(shown[event.start + i] for i in range(len(event.tokens)))
    unwatched = alone(make, replace(LONG, drafts=False))
    assert not any(isinstance(event, Draft) for event in unwatched)
    assert text(unwatched) == [shown[i] for i in range(LONG.max_tokens)]


def test_a_template_keeps_its_givens(make: Make) -> None:
    request = Request("a", (5, 6), template=(None, 9, None, None, 7), sampling=SCHEDULED)
    events = alone(make, request)
    answer = text(events)
    assert (len(answer), answer[1], answer[4]) == (5, 9, 7)
    assert (finish(events).reason, finish(events).usage.completion_tokens) == ("stop", 3)


def test_company_changes_no_tokens(make: Make) -> None:
    requests = [replace(LONG, id=str(i), sampling=replace(SCHEDULED, seed=i, temperature=1.0)) for i in range(4)]
    engine = make(EngineLimits(max_running=3, position_budget=48))
    for request in requests:
        engine.add(request)
    together = drain(engine, *(request.id for request in requests))
    for request in requests:
        assert text(together[request.id]) == text(alone(make, request))
    assert text(together["0"]) != text(together["1"])


@pytest.mark.parametrize("served", range(2, 15, 3))
def test_an_interrupted_request_goes_on_where_it_was(make: Make, served: int) -> None:
    whole, first, second = alone(make, LONG), make(), make()
    first.add(LONG)
    events = [event for _ in range(served) for event in first.step()]
    checkpoint = first.park("a")
    assert not first.has_work
    first.check_integrity()
    second.resume(LONG, type(checkpoint).from_bytes(checkpoint.to_bytes()))
    events += drain(second, "a")["a"]
    assert text(events) == text(whole)
    assert finish(events).usage.denoising_steps == finish(whole).usage.denoising_steps
    assert finish(events).usage.completion_tokens == finish(whole).usage.completion_tokens


def test_a_checkpoint_serves_its_own_request_only(make: Make) -> None:
    engine = make()
    engine.add(LONG)
    assert engine.park("a") is None
    engine.step()
    checkpoint = engine.park("a")
    assert engine.park("a") is None
    with pytest.raises(CheckpointError, match="another request"):
        engine.resume(replace(LONG, max_tokens=29), checkpoint)


def test_abort_frees_everything_at_once(make: Make) -> None:
    engine = make(EngineLimits(max_running=1))
    engine.add(LONG)
    engine.add(replace(LONG, id="waits"))
    engine.step()
    assert (engine.admitted("a"), engine.admitted("waits")) == (True, False)
    running, waiting = engine.abort("a"), engine.abort("waits")
    assert (running.reason, running.usage.forward_passes) == ("abort", 1)
    assert (waiting.reason, waiting.usage.forward_passes) == ("abort", 0)
    assert engine.abort("unknown") is None
    assert not engine.has_work
    assert engine.stats().free_pages == engine.stats().pages
    engine.check_integrity()


def test_a_checkpoint_leaves_its_request_running(make: Make) -> None:
    engine = make()
    assert engine.checkpoint("a") is None
    engine.add(LONG)
    assert engine.checkpoint("a") is None
    events = [event for _ in range(6) for event in engine.step()]
    checkpoint = engine.checkpoint("a")
    data = checkpoint.to_bytes()
    events += drain(engine, "a")["a"]
    assert text(events) == text(alone(make, LONG))
    assert checkpoint.to_bytes() == data
    assert not checkpoint.is_large
    with pytest.raises(CheckpointError):
        engine.read_checkpoint(data[:-1])
    other = make()
    other.resume(LONG, other.read_checkpoint(data))
    rest = drain(other, "a")["a"]
    assert text(rest) == text(events)[-len(text(rest)) :]


def test_one_that_waits_to_go_on_leaves_as_it_came(make: Make) -> None:
    first, second = make(), make(EngineLimits(max_running=1))
    first.add(LONG)
    for _ in range(4):
        first.step()
    checkpoint = first.park("a")
    second.add(replace(LONG, id="b"))
    second.step()
    second.resume(LONG, checkpoint)
    assert second.park("a").to_bytes() == checkpoint.to_bytes()
    drain(second, "b")


def test_boundaries_lie_between_canvases(make: Make) -> None:
    engine, found, taken = make(), [], []
    engine.add(LONG)
    while engine.has_work:
        engine.step()
        if engine.at_boundary("a"):
            found.append(engine.usage("a").denoising_steps)
        taken.append(engine.usage("a").denoising_steps)
    assert sorted(set(found)) == [4, 8, 12]
    assert taken[:-1] == sorted(taken[:-1])
    assert not engine.at_boundary("a")


def test_a_deadline_fills_the_canvas_that_is_begun_and_ends_there(make: Make) -> None:
    engine, events = make(), list[Event]()
    engine.add(LONG)
    while engine.usage("a").denoising_steps < 6:
        events += engine.step()
    assert engine.conclude("a") is None
    events += drain(engine, "a")["a"]
    whole = text(alone(make, LONG))
    assert (finish(events).reason, finish(events).usage.denoising_steps) == ("deadline", 7)
    assert len(text(events)) == 12
    assert text(events)[:4] == whole[:4]
    assert finish(events).usage.completion_tokens == 12


def test_a_deadline_before_the_first_step_of_a_canvas_ends_at_once(make: Make) -> None:
    engine = make(EngineLimits(max_running=1))
    engine.add(LONG)
    engine.add(replace(LONG, id="waits"))
    while not engine.at_boundary("a"):
        engine.step()
    assert engine.conclude("waits").reason == "deadline"
    ended = engine.conclude("a")
    assert (ended.reason, ended.usage.denoising_steps, ended.usage.completion_tokens) == ("deadline", 4, 4)
    assert engine.conclude("a") is None
    assert not engine.has_work


def test_the_load_is_what_is_left_to_do(make: Make) -> None:
    engine = make(EngineLimits(max_running=2))
    idle = engine.load()
    assert (idle.free_places, idle.backlog, set(idle.refresh_due)) == (2, 0, {0})
    for name in "abc":
        engine.add(replace(LONG, id=name))
    full = engine.load()
    assert full.free_places == 0
    assert full.backlog > 3 * 16 * 8
    assert full.refresh_due[0] >= 16
    backlogs = []
    while engine.has_work:
        engine.step()
        backlogs.append(engine.load().backlog)
    assert backlogs == sorted(backlogs, reverse=True)
    assert backlogs[-1] == 0


def test_pages_of_a_prompt_are_shared_by_whom_its_key_allows(make: Make) -> None:
    engine, long = make(), replace(LONG, prompt=(5,) * 70)
    used = []
    for name, salt in (("a", ""), ("b", ""), ("c", "other")):
        engine.add(replace(long, id=name, cache_salt=salt))
        used.append(finish(drain(engine, name)[name]).usage.cached_tokens)
    assert used == [0, 64, 0]
    assert engine.stats().reused_positions == 64
    assert engine.load().prefixes


def test_the_urgent_displace_the_others_which_go_on_afterwards(make: Make) -> None:
    engine = make(EngineLimits(max_running=1))
    engine.add(LONG)
    events = [engine.step() for _ in range(3)]
    engine.add(replace(LONG, id="urgent", priority=1))
    engine.step()
    assert (engine.admitted("urgent"), engine.admitted("a"), engine.stats().preemptions) == (True, False, 1)
    rest = drain(engine, "a", "urgent")
    told = [event for step in events for event in step] + rest["a"]
    assert text(told) == text(alone(make, LONG))


def test_one_that_does_not_fit_holds_up_nobody(make: Make) -> None:
    engine = make(EngineLimits(cache_positions=96))
    for name, prompt in (("first", 40), ("large", 40), ("small", 10)):
        engine.add(Request(name, (5,) * prompt, max_tokens=8, sampling=SCHEDULED))
    engine.step()
    assert [engine.admitted(name) for name in ("first", "large", "small")] == [True, False, True]
    drain(engine, "first", "large", "small")


def test_what_can_never_run_is_refused(make: Make) -> None:
    engine = make(EngineLimits(cache_positions=32))
    with pytest.raises(RequestError, match="more cache"):
        engine.add(Request("a", (5,) * 100, max_tokens=8))
    with pytest.raises(RequestError, match="canvas_length"):
        engine.add(replace(LONG, canvas_length=500))
    engine.add(Request("b", (5,), max_tokens=8))
    with pytest.raises(RequestError, match="in use"):
        engine.add(Request("b", (5,), max_tokens=8))
