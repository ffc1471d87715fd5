"""Metrics that Ray's agent on each node collects and Prometheus reads there."""

from __future__ import annotations

from ray.util import metrics as ray_metrics

from deployments.telemetry.metrics import Metric


class RayMetrics:
    """Records in Ray's registry of this process; a metric is registered when it is recorded first."""

    def __init__(self) -> None:
        self._registered: dict[str, ray_metrics.Metric] = {}

    def record(self, metric: Metric, value: float, **labels: str) -> None:
        registered = self._registered.get(metric.name) or self._register(metric)
        match registered:
            case ray_metrics.Counter():
                registered.inc(value, tags=labels)
            case ray_metrics.Gauge():
                registered.set(value, tags=labels)
            case ray_metrics.Histogram():
                registered.observe(value, tags=labels)

    def _register(self, metric: Metric) -> ray_metrics.Metric:
        made: ray_metrics.Metric
        if metric.kind == "counter":
            # Ray appends the suffix that Prometheus wants of a counter.
            made = ray_metrics.Counter(metric.name.removesuffix("_total"), metric.meaning, metric.labels)
        elif metric.kind == "gauge":
            made = ray_metrics.Gauge(metric.name, metric.meaning, metric.labels)
        else:
            made = ray_metrics.Histogram(metric.name, metric.meaning, list(metric.buckets), metric.labels)
        self._registered[metric.name] = made
        return made
