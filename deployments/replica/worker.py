"""The replica: one engine, reached through a Ray Serve handle."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import pynvml
from ray import serve

from deployments.activity.calibration import calibrate
from deployments.activity.source import Source
from deployments.activity.start import open_counters, start_sampling
from deployments.autoscaling.config import AutoscalingConfig
from deployments.config import ModelConfig, PoolConfig
from deployments.loopback import listen_to_this_machine
from deployments.replica.build import build, thread_settings
from deployments.replica.denoise_span import traced
from deployments.replica.engine_thread import EngineThread
from deployments.replica.figures import report_of
from deployments.replica.gauges import EngineCollector
from deployments.replica.step_spans import StepSpans
from deployments.routing.stats import stats_of
from deployments.run import Progress, Run
from deployments.telemetry.config import TelemetryConfig
from deployments.telemetry.logs import log_lines
from deployments.telemetry.process import Exposed
from deployments.telemetry.prometheus import process_metrics
from deployments.telemetry.tracing import INSTANCE, WORKER, tracing_of


def _counters(config: ModelConfig, autoscaling: AutoscalingConfig) -> list[Source]:
    """Those of the GPU, for a model that runs on it."""
    if config.device != "cuda":
        return []
    return open_counters(autoscaling, os.environ, pynvml, socket.gethostname())


class Worker:
    """One replica of a model's pool."""

    def __init__(
        self, config: ModelConfig, pool: PoolConfig, autoscaling: AutoscalingConfig, telemetry: TelemetryConfig
    ) -> None:
        listen_to_this_machine()
        log_lines()
        self._model, self._replica = config.id, serve.get_replica_context().replica_id.to_full_id_str()
        self._tracing = tracing_of(telemetry.traces, WORKER, {INSTANCE: self._replica})
        spans = StepSpans(self._tracing.tracer) if telemetry.traces.engine_steps else None
        built, counters = build(config, pool), _counters(config, autoscaling)
        calibration = calibrate(built.trial, counters, autoscaling.activity.calibration_seconds, time.time)
        self._engine = EngineThread(built.engine(), thread_settings(pool, self._replica), spans=spans)
        labels = {"model": config.id, "pool": pool.name}
        self._sampler = start_sampling(
            autoscaling, counters, calibration, self._engine.executed, process_metrics(), labels
        )
        self._exposed = Exposed.replica(
            "worker", EngineCollector(self._engine.stats, config.id, pool.name, pool.max_running)
        )

    async def generate(self, run: Run, ticket: object = None) -> AsyncGenerator[Progress]:
        """The messages of ``run``, see :meth:`deployments.replica.engine_thread.EngineThread.generate`.

        ``ticket`` was for the router that chose this replica.
        """
        messages = self._engine.generate(run)
        if run.trace:
            messages = traced(messages, run, self._tracing.tracer, self._model, self._replica)
        async with aclosing(messages):
            async for progress in messages:
                yield progress

    async def ready(self) -> bool:
        """Whether the engine runs; answering at all shows that the replica is reachable."""
        return self._engine.healthy

    async def stats(self) -> dict[str, Any]:
        """The engine's counters and gauges."""
        return asdict(self._engine.stats())

    def record_routing_stats(self) -> dict[str, Any]:
        """Called by Ray Serve, which hands the figures to all routers."""
        return stats_of(self._engine.figures())

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Ray Serve, which hands the figures to the pool's policy. What is known is told at once."""
        engine = self._engine
        at = time.time() - engine.lag
        return report_of(engine.stats(), engine.figures(), self._sampler.latest(), at).as_numbers()

    def check_health(self) -> None:
        """Called by Ray Serve; raising replaces the replica."""
        if not self._engine.healthy:
            raise RuntimeError("the engine has stopped, or does not come out of a step")

    def __del__(self) -> None:
        self._engine.stop()
        self._sampler.close()
        self._exposed.close()
        self._tracing.close()
