"""The counters and gauges of a replica's engine, read when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client.registry import Collector

from deployments.telemetry.names import (
    CACHE_PAGES,
    CANVAS_SLOTS,
    ENGINE_STEPS,
    PHASE_POSITIONS,
    POSITION_FORWARDS,
    PREEMPTIONS,
    REUSED_POSITIONS,
)
from deployments.telemetry.prometheus import family_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

    from deployments.telemetry.metrics import Metric
    from dllm_worker.interface import EngineStats


class EngineCollector(Collector):
    """What ``stats`` says of an engine of ``pool`` that denoises ``places`` requests together."""

    def __init__(self, stats: Callable[[], EngineStats], model: str, pool: str, places: int) -> None:
        self._stats, self._labels, self._places = stats, (model, pool), places

    def collect(self) -> Iterable[Family]:
        stats = self._stats()
        yield self._by(CANVAS_SLOTS, free=self._places - stats.running, denoising=stats.running, waiting=stats.waiting)
        yield self._by(CACHE_PAGES, free=stats.free_pages, used=stats.pages - stats.free_pages)
        yield self._by(PHASE_POSITIONS, **{kind.value: positions for kind, positions in stats.kinds.items()})
        yield self._of(POSITION_FORWARDS, stats.position_forwards)
        yield self._of(ENGINE_STEPS, stats.steps)
        yield self._of(PREEMPTIONS, stats.preemptions)
        yield self._of(REUSED_POSITIONS, stats.reused_positions)

    def _of(self, metric: Metric, value: float) -> Family:
        return family_of(metric, {self._labels: value})

    def _by(self, metric: Metric, **values: float) -> Family:
        return family_of(metric, {(*self._labels, name): value for name, value in values.items()})
