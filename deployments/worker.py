"""The replica: one engine, reached through a Ray Serve handle."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.config import ModelConfig
from deployments.engine_thread import EngineThread
from dllm_worker.models.checkpoint import resolve_checkpoint
from dllm_worker.request import Event, Request


def start_engine(config: ModelConfig) -> EngineThread:
    """Load the model of ``config`` and start its engine in this process."""
    # Whoever deploys workers imports this module; only the replica needs torch.
    from dllm_worker.device import use_threads
    from dllm_worker.engine import Engine, EngineLimits
    from dllm_worker.models.loading import load_model

    use_threads(config.pool.threads)
    path = resolve_checkpoint(config.checkpoint)
    model = load_model(path, config.dtype, config.device, deterministic=config.deterministic)
    limits = EngineLimits(
        max_running=config.pool.max_running,
        position_budget=config.pool.position_budget,
        refresh_budget=config.pool.refresh_budget,
        cache_positions=config.pool.cache_positions,
    )
    return EngineThread(Engine(model, limits), config.pool.max_waiting)


class Worker:
    """One replica of a model's pool."""

    def __init__(self, config: ModelConfig) -> None:
        self._engine = start_engine(config)

    async def generate(self, request: Request) -> AsyncGenerator[tuple[Event, ...]]:
        """Run ``request``; see :meth:`deployments.engine_thread.EngineThread.generate`."""
        async with aclosing(self._engine.generate(request)) as stream:
            async for events in stream:
                yield events

    async def ready(self) -> bool:
        """Whether the engine runs; answering at all shows that the replica is reachable."""
        return self._engine.healthy

    async def stats(self) -> dict[str, int]:
        """The engine's counters and gauges."""
        stats = self._engine.stats()
        return {name: getattr(stats, name) for name in stats.__slots__}

    def check_health(self) -> None:
        """Called by Ray Serve; raising replaces the replica."""
        if not self._engine.healthy:
            raise RuntimeError("the engine has stopped")

    def __del__(self) -> None:
        self._engine.stop()
