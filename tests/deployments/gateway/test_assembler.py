from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import NoReplica
from deployments.gateway.assembler import Assembler, Done, Output
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.diffusion import Watch
from deployments.gateway.pieces import Hole
from deployments.gateway.plan import Plan
from deployments.gateway.writer import Delta
from dllm_worker.request import Commit, Draft, Event, Finish, Request, Usage
from tests.deployments.gateway.scripted import MASK, byte_text, spec

USAGE = Usage(prompt_tokens=2, completion_tokens=5, denoising_steps=3)


def assemble(plan: Plan, batches: list[list[Event]]) -> list[Output]:
    assembler = Assembler(plan, byte_text(), spec())
    return [output for batch in batches for output in assembler.push(batch)]


def plan(*stops: str, watch: Watch | None = None) -> Plan:
    return Plan(Request("r", prompt=(5, 6), max_tokens=64), (Hole(64),), stops, watch)


def run_of(texts: list[str], reason: str = "stop") -> list[Event]:
    """Each text is drafted in full and then committed."""
    events: list[Event] = []
    start = 0
    for step, text in enumerate(texts, 1):
        tokens = tuple(byte_text().encode(text))
        events += [Draft("r", step, 1, start, (*tokens, MASK), 1), Commit("r", step, 1, start, tokens, USAGE)]
        start += len(tokens)
    return [*events, Finish("r", "length" if reason == "length" else "stop", USAGE)]


def deltas(outputs: list[Output]) -> str:
    return "".join(output.text for output in outputs if isinstance(output, Delta))


def test_the_finish_of_the_engine_ends_the_answer() -> None:
    assert assemble(plan(), [run_of(["hi"], "length")]) == [Delta("hi", 0), Done("length", 2, 5, USAGE)]


def test_a_stop_string_ends_the_answer_before_the_engine_does() -> None:
    outputs = assemble(plan("END"), [run_of(["one EN", "D two", "three"])])
    assert outputs == [Delta("one ", 0), Done("stop", 2, 11, USAGE)]


def test_what_was_held_back_for_a_stop_string_is_answered_in_the_end() -> None:
    outputs = assemble(plan("END"), [run_of(["the E"])])
    assert outputs == [Delta("the ", 0), Delta("E", 0), Done("stop", 2, 5, USAGE)]


def test_a_replica_that_gives_up_is_an_error() -> None:
    with pytest.raises(NoReplica):
        assemble(plan(), [[Finish("r", "abort", USAGE)]])


def test_frames_carry_how_much_is_committed() -> None:
    outputs = assemble(plan(watch=Watch("snapshot", 1)), [run_of(["one", "two"])])
    assert [output.committed_chars for output in outputs if isinstance(output, CanvasFrame)] == [0, 3]


TEXTS = st.lists(st.text("ab€é", min_size=1, max_size=5), max_size=5)


@given(TEXTS, st.data(), st.lists(st.sampled_from(["ab", "b€", "é"]), max_size=2))
def test_neither_grouping_nor_watching_changes_the_text(
    texts: list[str], data: st.DataObject, stops: list[str]
) -> None:
    events = run_of(texts)
    cut = data.draw(st.integers(0, len(events)))
    unary = assemble(plan(*stops), [events])
    streamed = assemble(plan(*stops), [events[:cut], events[cut:]])
    watched = assemble(plan(*stops, watch=Watch("patch", 1)), [[event] for event in events])
    assert streamed == unary
    assert [output for output in watched if not isinstance(output, CanvasFrame)] == unary
    assert isinstance(unary[-1], Done)
    if not stops:
        assert deltas(unary) == "".join(texts)
