"""How runs end before their answer does: parked, out of time, left, replaced, or with their engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NoReturn

import pytest

from deployments.errors import DeadlineExceeded, Draining, InternalError, ReplicaLost
from deployments.replica.engine_thread import EngineThread
from deployments.run import Run
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Finish
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
    text,
)


async def test_a_run_is_parked_where_it_was_to_get(model: LoadedModel, thread: EngineThread) -> None:
    whole = await collect(thread, request("a", tokens=40))
    first = await collect(thread, Run(request("a", tokens=40), park_after=10))
    last = first[-1]
    assert last.parked
    assert last.boundary
    assert len(text(first)) == 13  # the prompt of 3 and 13 tokens end with the second block of 8
    with serving(Engine(model)) as other:
        rest = await collect(other, Run(request("a", tokens=40), epoch=2, checkpoint=last.checkpoint))
    assert text(first) + text(rest) == text(whole)
    await freed(thread)


async def test_draining_parks_what_runs_and_what_waits(model: LoadedModel) -> None:
    engine = GatedEngine(model, EngineLimits(max_running=1))
    asked_for = request("runs", tokens=40)
    with serving(engine) as thread:
        runs, waits = thread.generate(Run(asked_for)), thread.generate(Run(request("waits")))
        told = [await start(engine, runs)]
        assert not (await start(engine, waits)).admitted
        engine.let(6)
        while not text(told):
            told.append(await anext(runs))
        thread.drain()
        engine.let_all()
        told += [progress async for progress in runs]
        left = [progress async for progress in waits]
        assert told[-1].parked
        assert (left[-1].parked, left[-1].checkpoint) == (True, None)
        with pytest.raises(Draining):
            await collect(thread, request("late"))
        assert thread.healthy
    with serving(Engine(model)) as other:
        rest = await collect(other, Run(asked_for, epoch=2, checkpoint=told[-1].checkpoint))
        assert text(told) + text(rest) == text(await collect(other, asked_for))


async def test_a_deadline_that_has_passed_refuses_what_is_not_begun(model: LoadedModel) -> None:
    time = Time()
    engine = GatedEngine(model, EngineLimits(max_running=1))
    with serving(engine, time.clocks) as thread:
        with_time = thread.generate(Run(request("runs", tokens=40)))
        await start(engine, with_time)
        waits = thread.generate(Run(replace(request("waits"), deadline=1005.0)))
        assert not (await start(engine, waits)).admitted
        time.seconds = 1005.0
        engine.let_all()
        with pytest.raises(DeadlineExceeded):
            [progress async for progress in waits]
        assert len(text([progress async for progress in with_time])) == 40


async def test_a_deadline_in_mid_canvas_ends_with_the_canvas(model: LoadedModel) -> None:
    time = Time()
    engine = GatedEngine(model)
    with serving(engine, time.clocks) as thread:
        stream = thread.generate(Run(replace(request("a", tokens=40), deadline=1005.0, drafts=True)))
        messages = [await anext(stream)]
        engine.let(2)
        while not count_drafts(messages):
            messages.append(await anext(stream))
        time.seconds = 1006.0
        engine.let_all()
        messages += [progress async for progress in stream]
    finish = events_of(messages)[-1]
    assert isinstance(finish, Finish)
    assert finish.reason == "deadline"
    assert len(text(messages)) == 5  # the first canvas is what the prompt of 3 leaves of a block of 8


async def test_leaving_frees_the_canvas(thread: EngineThread) -> None:
    stream = thread.generate(Run(request("a", tokens=200)))
    while not (await anext(stream)).admitted:
        pass
    await stream.aclose()
    await freed(thread)


async def test_cancelling_frees_the_canvas(thread: EngineThread) -> None:
    task = asyncio.create_task(collect(thread, request("a", tokens=200)))
    await collect(thread, request("b", tokens=1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await freed(thread)


async def test_a_later_run_replaces_an_earlier_one_and_never_the_other_way_round(thread: EngineThread) -> None:
    early = thread.generate(Run(request("a", tokens=200), epoch=2))
    await anext(early)
    with pytest.raises(InternalError, match="later run"):
        await collect(thread, Run(request("a", tokens=200), epoch=1))
    late = await collect(thread, Run(request("a", tokens=20), epoch=3))
    assert len(text(late)) == 20
    with pytest.raises(InternalError, match="later run"):
        [progress async for progress in early]
    await freed(thread)


async def test_a_failing_engine_loses_its_requests_and_says_it_is_ill(model: LoadedModel) -> None:
    class Broken(Engine):
        def step(self) -> NoReturn:
            raise RuntimeError("out of memory")

    with serving(Broken(model)) as thread:
        assert thread.healthy
        with pytest.raises(ReplicaLost, match="failed"):
            await collect(thread, request("a"))
        assert not thread.healthy
        with pytest.raises(Draining):
            await collect(thread, request("late"))


async def test_stopping_parks_what_still_runs(model: LoadedModel) -> None:
    with serving(Engine(model)) as thread:
        stream = thread.generate(Run(request("a", tokens=200)))
        while not (await anext(stream)).admitted:
            pass
        thread.stop()
        assert [progress async for progress in stream][-1].parked
        with pytest.raises(Draining):
            await collect(thread, request("late"))
        assert not thread.healthy
