"""From the configuration of a pool to its engine, and to the self-test of its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployments.config import ModelConfig, PoolConfig, SimulationConfig
from deployments.replica.engine_thread import EngineThread, ThreadSettings
from dllm_worker.interface import EngineLimits, StepEngine
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.simulated.trial import simulated_trial
from dllm_worker.tensor_activity import Trial


@dataclass(frozen=True, slots=True)
class Built:
    """``engine`` makes the one to serve with, and ``trial`` prepares the self-test of its model and limits on another
    one, which is best gone before: it takes the seconds in which to measure the device's peak.
    """

    engine: Callable[[], StepEngine[Any]]
    trial: Callable[[float], Trial]


def build(config: ModelConfig, pool: PoolConfig) -> Built:
    """Load the model of ``config`` for an engine of ``pool`` in this process."""
    limits = EngineLimits(
        max_running=pool.max_running,
        position_budget=pool.position_budget,
        refresh_budget=pool.refresh_budget,
        cache_positions=pool.cache_positions,
    )
    if config.simulation is not None:
        return _simulated(config, config.simulation, pool, limits)
    return _loaded(config, pool, limits)


def start_engine(config: ModelConfig, pool: PoolConfig) -> EngineThread:
    """An engine of ``pool`` in this process, of which nobody else knows."""
    return EngineThread(build(config, pool).engine(), thread_settings(pool))


def thread_settings(pool: PoolConfig, replica: str = "") -> ThreadSettings:
    """Those of a replica of ``pool`` that others know as ``replica``."""
    return ThreadSettings(
        max_waiting=pool.max_waiting,
        checkpoint_every=pool.checkpoint_every,
        heartbeat_seconds=pool.heartbeat_seconds,
        stall_seconds=pool.stall_seconds,
        replica=replica,
    )


def _loaded(config: ModelConfig, pool: PoolConfig, limits: EngineLimits) -> Built:
    # Whoever deploys workers imports this module; only the replica needs torch.
    from dllm_worker.device import use_threads
    from dllm_worker.engine import Engine
    from dllm_worker.models.loading import load_model
    from dllm_worker.trial import trial_of

    use_threads(pool.threads)
    path = resolve_checkpoint(config.checkpoint)
    model = load_model(path, config.dtype, config.device, deterministic=config.deterministic)
    return Built(lambda: Engine(model, limits), lambda seconds: trial_of(model, limits, pool.sizes.most, seconds))


def _simulated(config: ModelConfig, simulation: SimulationConfig, pool: PoolConfig, limits: EngineLimits) -> Built:
    description = describe(resolve_checkpoint(config.checkpoint))
    device = SimulatedDevice(**simulation.model_dump())
    return Built(
        lambda: SimulatedEngine(description.spec, device, limits),
        lambda seconds: simulated_trial(description, device, limits, pool.sizes.most),
    )
