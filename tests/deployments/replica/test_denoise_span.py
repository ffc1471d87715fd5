"""Spans of runs and of steps, from a real engine with a random model."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from deployments.errors import DeadlineExceeded, Overloaded
from deployments.replica.denoise_span import traced
from deployments.replica.engine_thread import Clocks, EngineThread, ThreadSettings
from deployments.replica.step_spans import StepSpans
from deployments.run import Progress, Run
from deployments.telemetry import attributes
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Finish
from tests.deployments.replica.engines import GatedEngine, events_of, request, serving, start
from tests.deployments.telemetry.recorder import Recorder

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def recorded(thread: EngineThread, run: Run, recorder: Recorder) -> AsyncGenerator[Progress]:
    return traced(thread.generate(run), run, recorder.tracer, "tiny", "r1")


async def test_a_run_is_a_span_below_that_of_its_attempt(thread: EngineThread, recorder: Recorder) -> None:
    run = Run(request("a"), epoch=3, trace=TRACEPARENT)
    messages = [progress async for progress in recorded(thread, run, recorder)]
    span, usage = recorder.only, events_of(messages)[-1]
    assert isinstance(usage, Finish)
    assert (span.name, span.kind, span.trace, span.parent) == ("denoise tiny", "SERVER", TRACE, PARENT)
    assert span.attributes == {
        attributes.REQUEST_MODEL: "tiny",
        attributes.REPLICA: "r1",
        attributes.EPOCH: 3,
        attributes.DENOISE_STEPS: usage.usage.denoising_steps,
        attributes.POSITION_FORWARDS: usage.usage.position_forwards,
        attributes.COMMITTED_TOKENS: 20,
        attributes.OUTCOME: "finished",
    }
    assert not span.failed


async def test_a_parked_run_says_so(thread: EngineThread, recorder: Recorder) -> None:
    async for progress in recorded(thread, Run(request("a", 60), park_after=16, trace=TRACEPARENT), recorder):
        parked = progress.parked
    assert parked
    span = recorder.only
    assert (span.attributes[attributes.OUTCOME], span.failed) == ("parked", False)
    assert span.attributes[attributes.COMMITTED_TOKENS] >= 16


async def test_a_run_that_is_left_is_aborted(thread: EngineThread, recorder: Recorder) -> None:
    messages = recorded(thread, Run(request("a", 200), trace=TRACEPARENT), recorder)
    await anext(messages)
    await messages.aclose()
    assert (recorder.only.attributes[attributes.OUTCOME], recorder.only.failed) == ("aborted", False)


async def test_a_refused_run_has_the_code_of_its_error(model: LoadedModel, recorder: Recorder) -> None:
    with serving(Engine(model, EngineLimits(max_running=1)), max_waiting=0) as thread, pytest.raises(Overloaded):
        await anext(recorded(thread, Run(request("a"), trace=TRACEPARENT), recorder))
    span = recorder.only
    assert span.attributes[attributes.OUTCOME] == "failed"
    assert (span.attributes[attributes.ERROR_TYPE], span.failed) == ("overloaded", True)


async def failing(error: Exception) -> AsyncGenerator[Progress]:
    yield Progress(admitted=False)
    raise error


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [(DeadlineExceeded(), "deadline", "deadline_exceeded"), (RuntimeError("secret"), "failed", "internal_error")],
)
async def test_failures_are_told_by_their_code_alone(
    recorder: Recorder, error: Exception, outcome: str, code: str
) -> None:
    messages = traced(failing(error), Run(request("a"), trace=TRACEPARENT), recorder.tracer, "tiny", "r1")
    with pytest.raises(type(error)):
        _ = [progress async for progress in messages]
    span = recorder.only
    assert (span.attributes[attributes.OUTCOME], span.attributes[attributes.ERROR_TYPE]) == (outcome, code)
    assert "secret" not in repr(span)


async def test_a_deadline_that_ends_the_answer_is_an_outcome(recorder: Recorder) -> None:
    async def late() -> AsyncGenerator[Progress]:
        yield Progress((Finish("a", "deadline", None),))  # type: ignore[arg-type]

    messages = traced(late(), Run(request("a"), trace=TRACEPARENT), recorder.tracer, "tiny", "r1")
    assert len([progress async for progress in messages]) == 1
    assert (recorder.only.attributes[attributes.OUTCOME], recorder.only.failed) == ("deadline", False)


async def test_a_step_is_a_trace_of_its_own_with_links_to_those_who_were_in_it(
    model: LoadedModel, recorder: Recorder
) -> None:
    engine = GatedEngine(model)
    thread = EngineThread(engine, ThreadSettings(), Clocks(now=lambda: 50.0), StepSpans(recorder.tracer))
    seen = thread.generate(Run(request("seen", tokens=8), trace=TRACEPARENT))
    unseen = thread.generate(Run(request("unseen", tokens=8)))
    for messages in (seen, unseen):
        await start(engine, messages)
    engine.let_all()
    for messages in (seen, unseen):
        _ = [progress async for progress in messages]
    stats = thread.stats()
    thread.stop()
    spans = recorder.spans
    assert {span.name for span in spans} == {"engine.step"}
    assert [span.attributes[attributes.STEP_NUMBER] for span in spans] == list(range(1, stats.steps + 1))
    assert sum(span.attributes[attributes.STEP_ROWS] for span in spans) == stats.position_forwards
    assert sum(span.attributes[attributes.STEP_FLOPS] for span in spans) == pytest.approx(stats.flops)
    assert {kind for span in spans for kind in span.attributes[attributes.STEP_KINDS]} <= set(stats.kinds)
    assert all(span.attributes[attributes.STEP_KINDS] for span in spans)
    assert len({span.trace for span in spans}) == stats.steps
    assert all(not span.parent and span.began >= 50_000_000_000 for span in spans)
    assert {link for span in spans for link in span.links} == {(TRACE, PARENT)}
    assert all(len(span.links) <= 1 for span in spans)
