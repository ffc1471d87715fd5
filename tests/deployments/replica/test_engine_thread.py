"""A real engine with a random model; coroutines come and go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.activity.estimate import Executed
from deployments.errors import InternalError, InvalidRequest, Overloaded
from deployments.pools.pool import LocalPool
from deployments.replica.engine_thread import EngineThread
from deployments.run import Progress, Run
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Finish, Request, SamplingParameters
from tests.deployments.replica.engines import (
    GatedEngine,
    Time,
    collect,
    count_drafts,
    events_of,
    freed,
    request,
    serving,
    start,
    stuck,
    text,
)


async def test_admission_comes_first_and_finish_last(thread: EngineThread) -> None:
    messages = await collect(thread, request("a"))
    assert messages[0].replica == "r1"
    assert not any(progress.replica for progress in messages[1:])
    admissions = [progress.admitted for progress in messages]
    assert admissions == sorted(admissions)
    assert isinstance(events_of(messages)[-1], Finish)
    assert len(text(messages)) == 20


async def test_a_request_that_waits_is_answered_at_once_and_not_admitted(model: LoadedModel) -> None:
    with serving(Engine(model, EngineLimits(max_running=1))) as thread:
        first = thread.generate(Run(request("runs", tokens=200)))
        while not (await anext(first)).admitted:
            pass
        second = thread.generate(Run(request("waits", tokens=1)))
        assert await anext(second) == Progress(admitted=False, figures=thread.figures())
        await first.aclose()
        messages = [progress async for progress in second]
        assert messages[0].admitted
        assert len(text(messages)) == 1


async def test_many_at_once_equal_one_by_one(model: LoadedModel) -> None:
    with serving(Engine(model)) as thread:
        asked = [request(str(i), tokens=3 + i, prompt=(5 + i,)) for i in range(8)]
        together = await asyncio.gather(*(collect(thread, one) for one in asked))
        for one, messages in zip(asked, together, strict=True):
            assert text(await collect(thread, one)) == text(messages)


async def test_every_commit_comes_with_the_checkpoint_after_it(model: LoadedModel, thread: EngineThread) -> None:
    """From whichever message on, another engine gives what is missing, and nothing twice."""
    whole = await collect(thread, request("a", tokens=30))
    told: list[int] = []
    with serving(Engine(model)) as other:
        for progress in whole:
            told += text([progress])
            committed = any(isinstance(event, Commit) for event in progress.events)
            if isinstance(progress.events[-1] if progress.events else None, Finish):
                break
            assert progress.checkpoint is not None or not committed
            if progress.checkpoint is not None:
                rest = await collect(other, Run(request("a", tokens=30), checkpoint=progress.checkpoint))
                assert told + text(rest) == text(whole)


async def test_steps_without_a_commit_are_saved_too(model: LoadedModel) -> None:
    """A token at a time from the right: nothing is committed before the canvas is whole."""
    engine = GatedEngine(model)
    sampling = SamplingParameters(algorithm="random", max_steps=8, seed=3)
    with serving(engine, checkpoint_every=3) as thread:
        stream = thread.generate(Run(Request("a", (5,) * 8, max_tokens=16, sampling=sampling, drafts=True)))
        saved = []
        for _ in range(7):
            engine.let(1)
            progress = await anext(stream)
            while not progress.events:
                progress = await anext(stream)
            if not any(isinstance(event, Commit) for event in progress.events):
                saved.append(progress.checkpoint is not None)
        engine.let_all()
        await stream.aclose()
    assert any(saved)
    assert not all(saved)


async def test_a_reader_who_is_slow_misses_drafts_and_no_commit(model: LoadedModel) -> None:
    engine = GatedEngine(model)
    asked_for = replace(request("a", tokens=40), drafts=True)
    with serving(engine) as thread:
        prompt = await collect_gated(engine, thread, asked_for)
        slow = thread.generate(Run(replace(asked_for, id="slow")))
        messages = [await anext(slow)]
        await anext_idle(thread)
        messages += [progress async for progress in slow]
    assert len(messages) <= 3
    assert text(messages) == text(prompt)
    assert count_drafts(messages) < count_drafts(prompt)
    assert events_of(messages)[-1] == replace(events_of(prompt)[-1], request_id="slow")


async def collect_gated(engine: GatedEngine, thread: EngineThread, one: Request) -> list[Progress]:
    """Read each step before the next one is made."""
    messages: list[Progress] = []
    stream = thread.generate(Run(one))
    messages.append(await anext(stream))
    while not (messages[-1].events and isinstance(messages[-1].events[-1], Finish)):
        engine.let(1)
        messages.append(await anext(stream))
    await stream.aclose()
    engine.let_all()
    return messages


async def anext_idle(thread: EngineThread) -> None:
    """Return when all that was asked before has been done."""
    await collect(thread, request("last", tokens=100))


async def test_the_heart_beats_while_steps_are_made_and_stops_with_them(model: LoadedModel) -> None:
    time, engine = Time(), GatedEngine(model, EngineLimits(max_running=1))
    with serving(engine, time.clocks) as thread:
        runs, waits = thread.generate(Run(request("runs", tokens=60))), thread.generate(Run(request("waits")))
        await start(engine, runs)
        await start(engine, waits)
        for _ in range(3):
            news = asyncio.ensure_future(anext(waits))
            while not news.done():
                engine.let(1)
                await stuck(engine)
                await time.wake(1)
            beat = await news
            assert (beat.events, beat.admitted, beat.parked) == ((), False, False)
        news = asyncio.ensure_future(anext(waits))
        await time.wake(4)  # both may still tell of the last step
        if news.done():
            news = asyncio.ensure_future(anext(waits))
        await time.wake(8)
        assert not news.done()
        engine.let_all()
        messages = [await news, *[progress async for progress in waits]]
        assert len(text(messages)) == 20
        await runs.aclose()


async def test_a_step_that_does_not_end_is_an_illness(model: LoadedModel) -> None:
    time, engine = Time(), GatedEngine(model)
    with serving(engine, time.clocks, stall_seconds=5.0) as thread:
        stream = thread.generate(Run(request("a", tokens=1)))
        first = await anext(stream)
        await stuck(engine)
        time.seconds += 5.0
        assert thread.healthy
        time.seconds += 0.1
        assert not thread.healthy
        engine.let_all()
        assert len(text([first, *[progress async for progress in stream]])) == 1


async def test_bytes_that_are_no_checkpoint_of_the_request_are_a_defect(thread: EngineThread) -> None:
    messages = await collect(thread, Run(request("a"), park_after=5))
    assert messages[-1].checkpoint is not None
    damaged = messages[-1].checkpoint[:-1] + b"\0\1"
    with pytest.raises(InternalError, match="damaged"):
        await collect(thread, Run(request("a"), checkpoint=damaged))
    with pytest.raises(InternalError, match="another request"):
        await collect(thread, Run(request("b", prompt=(9,)), checkpoint=messages[-1].checkpoint))


async def test_what_the_model_cannot_run_loses_nobody_else(thread: EngineThread) -> None:
    good = asyncio.create_task(collect(thread, request("good")))
    with pytest.raises(InvalidRequest) as refusal:
        await collect(thread, request("bad", tokens=10_000))
    assert refusal.value.parameter == "max_tokens"
    assert isinstance(events_of(await good)[-1], Finish)


async def test_a_full_queue_is_refused(model: LoadedModel) -> None:
    with serving(Engine(model, EngineLimits(max_running=1)), max_waiting=1) as thread:
        streams = [thread.generate(Run(request(name, tokens=200))) for name in ("runs", "waits")]
        while not (await anext(streams[0])).admitted:
            pass
        assert not (await anext(streams[1])).admitted
        with pytest.raises(Overloaded):
            await collect(thread, request("refused"))
        await streams[0].aclose()
        while not (await anext(streams[1])).admitted:
            pass
        await streams[1].aclose()


async def test_figures_tell_of_work_and_of_rest(model: LoadedModel) -> None:
    time, engine = Time(), GatedEngine(model, EngineLimits(max_running=2))
    with serving(engine, time.clocks) as thread:
        idle = thread.figures()
        assert (idle.free_places, idle.backlog, idle.rate) == (2, 0, 0.0)
        stream = thread.generate(Run(request("a", tokens=40)))
        messages = [await anext(stream)]
        await stuck(engine)
        time.seconds += 1.0
        engine.let(1)
        await stuck(engine)
        busy = thread.figures()
        assert busy.free_places == 1
        assert busy.backlog > 40
        assert busy.rate > 0
        engine.let_all()
        messages += [progress async for progress in stream]
        told = [progress.figures for progress in messages if progress.figures is not None]
        assert told[0] == idle
        assert busy in told
        await freed(thread)


async def test_what_was_executed_is_known_up_to_the_step_under_way(model: LoadedModel) -> None:
    time, engine = Time(), GatedEngine(model)
    with serving(engine, time.clocks) as thread:
        time.seconds += 3.0
        assert thread.executed() == Executed(0.0, time.seconds)
        stream = thread.generate(Run(request("a", tokens=40)))
        await anext(stream)
        await stuck(engine)
        begun = time.seconds
        time.seconds += 5.0
        assert thread.executed() == Executed(0.0, begun)
        assert thread.lag == 5.0
        engine.let(1)
        await stuck(engine)
        after_one = thread.executed()
        assert after_one == Executed(thread.stats().flops, time.seconds)
        assert after_one.flops > 0
        assert thread.lag == 0.0
        engine.let_all()
        await stream.aclose()
        await freed(thread)
    time.seconds += 1.0
    assert thread.executed() == Executed(thread.stats().flops, time.seconds)


async def test_the_local_pool_is_ready_while_its_engine_runs(model: LoadedModel, tmp_path: Path) -> None:
    thread = EngineThread(Engine(model))
    pool = LocalPool(thread)
    assert await pool.ready()
    messages = [message async for message in pool.generate(Run(request("a", tokens=1)))]
    assert isinstance(messages[-1].events[-1], Finish)
    thread.stop()
    assert not await pool.ready()
