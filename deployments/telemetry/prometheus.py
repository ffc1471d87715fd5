"""Metrics that Prometheus reads: the registry of this process, and what records in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily

from deployments.telemetry.metrics import Metric

Family = Counter | Gauge | Histogram
Record = Callable[..., None]
"""Takes a value and, unless it is a gauge's, an example of it."""


class PrometheusMetrics:
    """Records in ``registry``, from any thread. A metric is registered when it is recorded first."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._lock = Lock()
        self._families: dict[str, Family] = {}
        self._series: dict[tuple[str, ...], Record] = {}

    def record(self, metric: Metric, value: float, *, trace_id: str = "", **labels: str) -> None:
        """Raises :class:`ValueError` when ``labels`` are not those of ``metric``."""
        try:
            key = (metric.name, *[labels[name] for name in metric.labels])
        except KeyError as error:
            raise ValueError(f"{metric.name} has the labels {metric.labels}") from error
        add = self._series.get(key) or self._new_series(metric, key, labels)
        if trace_id and metric.kind != "gauge":
            add(value, {"trace_id": trace_id})
        else:
            add(value)

    def _new_series(self, metric: Metric, key: tuple[str, ...], labels: dict[str, str]) -> Record:
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}")
        with self._lock:
            family = self._families.get(metric.name) or self._register(metric)
        series = family.labels(*key[1:]) if metric.labels else family
        add = self._series[key] = _record_of(series)
        return add

    def _register(self, metric: Metric) -> Family:
        family: Family
        if metric.kind == "counter":
            family = Counter(metric.name, metric.meaning, metric.labels, registry=self.registry)
        elif metric.kind == "gauge":
            family = Gauge(metric.name, metric.meaning, metric.labels, registry=self.registry)
        else:
            family = Histogram(
                metric.name, metric.meaning, metric.labels, registry=self.registry, buckets=metric.buckets
            )
        self._families[metric.name] = family
        return family


def _record_of(series: Family) -> Record:
    match series:
        case Counter():
            return series.inc
        case Gauge():
            return series.set
        case Histogram():
            return series.observe


def family_of(metric: Metric, values: Mapping[tuple[str, ...], float]) -> MetricFamily:
    """Values of a counter or a gauge, by those of its labels, as a collector gives them to a registry."""
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _of_this_process() -> PrometheusMetrics:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return PrometheusMetrics(registry)


_PROCESS = _of_this_process()


def process_metrics() -> PrometheusMetrics:
    """The metrics of this process, with its memory, processor time and open files beside the cluster's own."""
    return _PROCESS
