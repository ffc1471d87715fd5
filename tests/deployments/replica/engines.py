"""Engines and clocks that stand still until they are told to go on, and what is read from their threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deployments.replica.engine_thread import Clocks, EngineThread, ThreadSettings
from deployments.run import Progress, Run
from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Draft, Event, Request, SamplingParameters

SLOW = SamplingParameters(threshold=1.0)


@contextmanager
def serving(engine: Engine, clocks: Clocks | None = None, **settings: object) -> Iterator[EngineThread]:
    thread = EngineThread(engine, ThreadSettings(**settings), clocks)  # type: ignore[arg-type]
    try:
        yield thread
    finally:
        thread.stop()


class GatedEngine(Engine):
    """Makes a step only when it is let."""

    def __init__(self, model: LoadedModel, limits: EngineLimits | None = None) -> None:
        super().__init__(model, limits)
        self.gate = threading.Condition()
        self.allowed, self.open, self.stuck = 0, False, False

    def step(self) -> list[Event]:
        with self.gate:
            while not (self.open or self.allowed):
                self.stuck = True
                self.gate.notify_all()
                self.gate.wait()
            self.allowed -= 1
        return super().step()

    def let(self, steps: int) -> None:
        with self.gate:
            self.allowed, self.stuck = self.allowed + steps, False
            self.gate.notify_all()

    def let_all(self) -> None:
        with self.gate:
            self.open, self.stuck = True, False
            self.gate.notify_all()

    def wait(self) -> None:
        with self.gate:
            self.gate.wait_for(lambda: self.stuck)


@dataclass
class Time:
    """Stands still until it is told to go on; sleepers are woken one by one."""

    seconds: float = 1000.0
    sleepers: asyncio.Queue[asyncio.Event] = field(default_factory=asyncio.Queue)

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        await self.sleepers.put(awake)
        await awake.wait()

    async def wake(self, times: int) -> None:
        """Wake one sleeper after the other, and let each do what it woke for."""
        for _ in range(times):
            (await self.sleepers.get()).set()
            for _ in range(5):
                await asyncio.sleep(0)

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.now, self.now, self.sleep)


def request(name: str, tokens: int = 20, prompt: tuple[int, ...] = (5, 6, 7)) -> Request:
    return Request(name, prompt, max_tokens=tokens, sampling=SLOW)


async def collect(thread: EngineThread, asked: Request | Run) -> list[Progress]:
    run = asked if isinstance(asked, Run) else Run(asked)
    return [progress async for progress in thread.generate(run)]


def events_of(messages: list[Progress]) -> list[Event]:
    return [event for progress in messages for event in progress.events]


def text(messages: list[Progress]) -> list[int]:
    return [token for event in events_of(messages) if isinstance(event, Commit) for token in event.tokens]


async def stuck(engine: GatedEngine) -> None:
    """Return when the engine has made the steps that it was let, and is asked for one more."""
    await asyncio.to_thread(engine.wait)


async def start(engine: GatedEngine, stream: AsyncGenerator[Progress]) -> Progress:
    """The first message, which the thread writes between two steps."""
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    engine.let(1)
    await stuck(engine)
    return await first


async def freed(thread: EngineThread) -> None:
    """Return when the engine holds nothing; a request of one token is a step that everybody else has seen."""
    await collect(thread, request("last", tokens=1))
    stats = thread.stats()
    assert (stats.running, stats.waiting, stats.free_pages) == (0, 0, stats.pages)


def count_drafts(messages: list[Progress]) -> int:
    return sum(isinstance(event, Draft) for event in events_of(messages))
