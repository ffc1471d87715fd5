"""The replica: one engine, reached through a Ray Serve handle."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from ray import serve

from deployments.config import ModelConfig, PoolConfig, SimulationConfig
from deployments.loopback import listen_to_this_machine
from deployments.replica.engine_thread import EngineThread, ThreadSettings
from deployments.routing.stats import stats_of
from deployments.run import Progress, Run
from dllm_worker.interface import EngineLimits, StepEngine
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine


def start_engine(config: ModelConfig, pool: PoolConfig, replica: str = "") -> EngineThread:
    """Load the model of ``config`` and start an engine of ``pool`` in this process, known to others as ``replica``."""
    settings = ThreadSettings(
        max_waiting=pool.max_waiting,
        checkpoint_every=pool.checkpoint_every,
        heartbeat_seconds=pool.heartbeat_seconds,
        stall_seconds=pool.stall_seconds,
        replica=replica,
    )
    limits = EngineLimits(
        max_running=pool.max_running,
        position_budget=pool.position_budget,
        refresh_budget=pool.refresh_budget,
        cache_positions=pool.cache_positions,
    )
    if config.simulation is not None:
        return EngineThread(_simulated(config, config.simulation, limits), settings)
    return EngineThread(_loaded(config, pool.threads, limits), settings)


def _loaded(config: ModelConfig, threads: int, limits: EngineLimits) -> StepEngine[Any]:
    # Whoever deploys workers imports this module; only the replica needs torch.
    from dllm_worker.device import use_threads
    from dllm_worker.engine import Engine
    from dllm_worker.models.loading import load_model

    use_threads(threads)
    path = resolve_checkpoint(config.checkpoint)
    return Engine(load_model(path, config.dtype, config.device, deterministic=config.deterministic), limits)


def _simulated(config: ModelConfig, simulation: SimulationConfig, limits: EngineLimits) -> StepEngine[Any]:
    spec = describe(resolve_checkpoint(config.checkpoint)).spec
    return SimulatedEngine(spec, SimulatedDevice(**simulation.model_dump()), limits)


class Worker:
    """One replica of a model's pool."""

    def __init__(self, config: ModelConfig, pool: PoolConfig) -> None:
        listen_to_this_machine()
        self._engine = start_engine(config, pool, serve.get_replica_context().replica_id.to_full_id_str())

    async def generate(self, run: Run, ticket: object = None) -> AsyncGenerator[Progress]:
        """The messages of ``run``, see :meth:`deployments.replica.engine_thread.EngineThread.generate`.

        ``ticket`` was for the router that chose this replica.
        """
        async with aclosing(self._engine.generate(run)) as messages:
            async for progress in messages:
                yield progress

    async def ready(self) -> bool:
        """Whether the engine runs; answering at all shows that the replica is reachable."""
        return self._engine.healthy

    async def stats(self) -> dict[str, int]:
        """The engine's counters and gauges."""
        return asdict(self._engine.stats())

    def record_routing_stats(self) -> dict[str, Any]:
        """Called by Ray Serve, which hands the figures to all routers."""
        return stats_of(self._engine.figures())

    def check_health(self) -> None:
        """Called by Ray Serve; raising replaces the replica."""
        if not self._engine.healthy:
            raise RuntimeError("the engine has stopped, or does not come out of a step")

    def __del__(self) -> None:
        self._engine.stop()
