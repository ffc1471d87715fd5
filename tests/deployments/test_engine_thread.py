"""A real engine with a random model; coroutines come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest

from deployments.engine_thread import EngineThread
from deployments.errors import Draining, InternalError, InvalidRequest, QueueFull
from deployments.pool import LocalPool
from dllm_worker.engine import Engine, EngineLimits
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import Commit, Event, Finish, Request, SamplingParameters
from tests.dllm_worker.conftest import tiny_config, write_checkpoint

SLOW = SamplingParameters(threshold=1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(write_checkpoint(tmp_path_factory.mktemp("tiny"), tiny_config()))


@pytest.fixture
async def thread(model: LoadedModel) -> AsyncIterator[EngineThread]:
    thread = EngineThread(Engine(model, EngineLimits(max_running=4)), max_waiting=2)
    yield thread
    thread.stop()


def request(name: str, tokens: int = 20, prompt: tuple[int, ...] = (5, 6, 7)) -> Request:
    return Request(name, prompt, max_tokens=tokens, sampling=SLOW)


async def collect(thread: EngineThread, asked: Request) -> list[tuple[Event, ...]]:
    return [events async for events in thread.generate(asked)]


async def freed(thread: EngineThread) -> None:
    """Return when the engine holds nothing; a request of one token is a step that everybody else has seen."""
    await collect(thread, request("last", tokens=1))
    stats = thread.stats()
    assert (stats.running, stats.waiting, stats.free_pages) == (0, 0, stats.pages)


async def test_admission_comes_first_and_finish_last(thread: EngineThread) -> None:
    deliveries = await collect(thread, request("a"))
    assert deliveries[0] == ()
    events = [event for delivery in deliveries for event in delivery]
    assert isinstance(events[-1], Finish)
    assert sum(len(event.tokens) for event in events if isinstance(event, Commit)) == 20


async def test_many_at_once_equal_one_by_one(model: LoadedModel) -> None:
    thread = EngineThread(Engine(model), max_waiting=100)
    asked = [request(str(i), tokens=3 + i, prompt=(5 + i,)) for i in range(8)]
    together = await asyncio.gather(*(collect(thread, one) for one in asked))
    for one, deliveries in zip(asked, together, strict=True):
        assert await collect(thread, one) == deliveries
    thread.stop()


async def test_leaving_frees_the_canvas(thread: EngineThread) -> None:
    stream = thread.generate(request("a", tokens=200))
    assert await anext(stream) == ()
    await stream.aclose()
    await freed(thread)


async def test_cancelling_frees_the_canvas(thread: EngineThread) -> None:
    task = asyncio.create_task(collect(thread, request("a", tokens=200)))
    await collect(thread, request("b", tokens=1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await freed(thread)


async def test_what_the_model_cannot_run_loses_nobody_else(thread: EngineThread) -> None:
    good = asyncio.create_task(collect(thread, request("good")))
    with pytest.raises(InvalidRequest) as refusal:
        await collect(thread, request("bad", tokens=10_000))
    assert refusal.value.parameter == "max_tokens"
    assert isinstance((await good)[-1][-1], Finish)


async def test_a_full_queue_is_refused(model: LoadedModel) -> None:
    thread = EngineThread(Engine(model, EngineLimits(max_running=1)), max_waiting=1)
    streams = [thread.generate(request(name, tokens=200)) for name in ("runs", "waits")]
    assert await anext(streams[0]) == ()
    waiting = asyncio.create_task(anext(streams[1]))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await collect(thread, request("refused"))
    await streams[0].aclose()
    assert await waiting == ()
    await streams[1].aclose()
    thread.stop()


async def test_a_failing_engine_fails_its_requests_and_says_it_is_ill(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Engine):
        def step(self) -> NoReturn:
            raise RuntimeError("out of memory")

    thread = EngineThread(Broken(model), max_waiting=2)
    assert thread.healthy
    with pytest.raises(InternalError, match="failed"):
        await collect(thread, request("a"))
    assert not thread.healthy
    with pytest.raises(InternalError, match="failed"):
        await collect(thread, request("late"))


async def test_stopping_ends_what_still_runs(model: LoadedModel) -> None:
    thread = EngineThread(Engine(model), max_waiting=2)
    stream = thread.generate(request("a", tokens=200))
    assert await anext(stream) == ()
    thread.stop()
    with pytest.raises(Draining):
        [events async for events in stream]
    with pytest.raises(Draining):
        await collect(thread, request("late"))
    assert not thread.healthy


async def test_the_local_pool_is_ready_while_its_engine_runs(model: LoadedModel, tmp_path: Path) -> None:
    thread = EngineThread(Engine(model), max_waiting=2)
    pool = LocalPool(thread)
    assert await pool.ready()
    assert await anext(pool.generate(request("a", tokens=1))) == ()
    thread.stop()
    assert not await pool.ready()
