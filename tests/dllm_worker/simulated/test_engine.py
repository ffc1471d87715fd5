from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_worker.capabilities import CapabilityError
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Commit, Event, Finish, Request, SamplingParameters
from dllm_worker.simulated.engine import SimulatedEngine
from tests.dllm_worker.requests import any_request, in_any_company, text
from tests.dllm_worker.simulated.devices import DEVICE, drain, engine, run, spec

mixes = st.tuples(*(any_request(name) for name in "abcd"))
histories = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["add", "abort", "park", "conclude"])), max_size=30)


@settings(max_examples=30, deadline=None)
@given(mixes)
def test_a_request_gives_the_same_alone_and_in_a_mix(mix: tuple[Request, ...]) -> None:
    together, events = engine(EngineLimits(max_running=3, position_budget=64)), list[Event]()
    for request in mix:
        together.add(request)
    drain(together, events)
    for request in mix:
        own = [event for event in events if event.request_id == request.id]
        assert in_any_company(own) == in_any_company(run(request))


@settings(max_examples=30, deadline=None)
@given(histories, mixes)
def test_nothing_is_left_after_any_history(history: list[tuple[int, str]], mix: tuple[Request, ...]) -> None:
    """Adds and ends of all kinds between steps; in the end no page, place or request remains."""
    tried = engine(EngineLimits(max_running=2, cache_positions=128, position_budget=24))
    here: set[str] = set()
    for which, what in history:
        request = mix[which]
        if what == "add" and request.id not in here:
            tried.add(request)
            here.add(request.id)
        elif what != "add":
            ended = {"abort": tried.abort, "park": tried.park, "conclude": tried.conclude}[what](request.id)
            here -= set() if ended is None else {request.id}
        here -= {event.request_id for event in tried.step() if isinstance(event, Finish)}
        tried.check_integrity()
        assert tried.load().backlog >= 0
    while tried.has_work:
        tried.step()
    tried.check_integrity()
    assert tried.stats().free_pages == tried.stats().pages
    assert tried.load().backlog == 0


@settings(max_examples=30, deadline=None)
@given(any_request("a"), st.lists(st.integers(1, 6), max_size=4))
def test_an_interrupted_request_tells_what_an_uninterrupted_one_tells(request: Request, steps: list[int]) -> None:
    current, pieces = engine(), list[Event]()
    current.add(request)
    for count in steps:
        for _ in range(count):
            pieces += current.step()
        checkpoint = current.park("a")
        if checkpoint is None:
            break
        current = engine()
        current.resume(request, current.read_checkpoint(checkpoint.to_bytes()))
    drain(current, pieces)
    whole = run(request)
    assert text(pieces) == text(whole)
    told = [(event.canvas, event.step, event.start) for event in pieces if isinstance(event, Commit)]
    assert told == [(event.canvas, event.step, event.start) for event in whole if isinstance(event, Commit)]


def test_a_step_takes_as_long_as_its_device_states() -> None:
    slept, seen = list[float](), list[int]()
    timed = SimulatedEngine(spec(), DEVICE, sleep=slept.append, observe=seen.append)
    for name in "ab":
        timed.add(Request(name, max_tokens=8, sampling=SamplingParameters("low_confidence", max_steps=2)))
    while timed.has_work:
        timed.step()
    assert seen == [16, 16]
    assert slept == [DEVICE.seconds(16, 2)] * 2
    assert timed.stats().position_forwards == 32
    assert timed.step() == []


def test_it_needs_no_torch() -> None:
    program = "import sys, dllm_worker.simulated.engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("request_", "parameter"),
    [
        (Request("a", max_tokens=4, logprobs=0), "logprobs"),
        (Request("a", max_tokens=4, prediction=(3,)), "prediction"),
    ],
)
def test_what_needs_a_model_is_refused_by_name(request_: Request, parameter: str) -> None:
    with pytest.raises(CapabilityError) as refused:
        engine().add(request_)
    assert refused.value.parameter == parameter
