"""The seam between the gateway and the replicas of one model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from deployments.engine_thread import EngineThread
from dllm_worker.request import Event, Request


class Pool(Protocol):
    """The replicas of one model."""

    def generate(self, request: Request) -> AsyncGenerator[tuple[Event, ...]]:
        """First ``()`` when a replica has admitted the request, then its events, ``Finish`` last.

        Closing the iterator aborts: the canvas is free within one step. Raises :class:`ServingError`.
        """

    async def ready(self) -> bool:
        """Whether a replica answers."""


class LocalPool:
    """One engine in this process: the twin that tests and the command line use."""

    def __init__(self, engine: EngineThread) -> None:
        self._engine = engine

    def generate(self, request: Request) -> AsyncGenerator[tuple[Event, ...]]:
        """As :meth:`Pool.generate`."""
        return self._engine.generate(request)

    async def ready(self) -> bool:
        """Whether the engine runs."""
        return self._engine.healthy
