from __future__ import annotations

import threading

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from deployments.telemetry.metrics import Metric
from deployments.telemetry.names import ALL, MIGRATIONS, QUEUE_DEPTH, REDIS_LATENCY
from deployments.telemetry.prometheus import PrometheusMetrics, family_of, process_metrics

TRACE = "0af7651916cd43dd8448eb211c80319c"
STEPS = Metric("test_steps", "histogram", "Steps.", ("model",), (1.0, 4.0))


def samples(metrics: PrometheusMetrics) -> list[Sample]:
    return [sample for family in metrics.registry.collect() for sample in family.samples]


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics(CollectorRegistry())


@pytest.mark.parametrize("metric", ALL, ids=[metric.name for metric in ALL])
def test_every_metric_can_be_recorded(metrics: PrometheusMetrics, metric: Metric) -> None:
    labels = dict.fromkeys(metric.labels, "x")
    metrics.record(metric, 2, **labels)
    metrics.record(metric, 3, trace_id=TRACE, **labels)
    name = f"{metric.name}_sum" if metric.kind == "histogram" else metric.name
    assert metrics.registry.get_sample_value(name, labels) == (3 if metric.kind == "gauge" else 5)


def test_series_are_told_apart_by_labels_in_any_order(metrics: PrometheusMetrics) -> None:
    metrics.record(MIGRATIONS, 1, model="a", outcome="lost")
    metrics.record(MIGRATIONS, 1, outcome="lost", model="a")
    metrics.record(MIGRATIONS, 1, model="lost", outcome="a")
    value = metrics.registry.get_sample_value
    assert value(MIGRATIONS.name, {"model": "a", "outcome": "lost"}) == 2
    assert value(MIGRATIONS.name, {"model": "lost", "outcome": "a"}) == 1


def test_an_observation_falls_into_the_buckets_of_its_metric(metrics: PrometheusMetrics) -> None:
    for value in (1, 2, 9):
        metrics.record(STEPS, value, model="m")
    found = {sample.labels["le"]: sample.value for sample in samples(metrics) if sample.name == "test_steps_bucket"}
    assert found == {"1.0": 1, "4.0": 2, "+Inf": 3}


def test_a_trace_is_an_example_of_its_bucket_and_of_a_counter(metrics: PrometheusMetrics) -> None:
    metrics.record(STEPS, 2, trace_id=TRACE, model="m")
    metrics.record(STEPS, 0.5, model="m")
    metrics.record(MIGRATIONS, 1, trace_id=TRACE, model="m", outcome="lost")
    examples = {sample.labels.get("le", "total"): sample.exemplar for sample in samples(metrics) if sample.exemplar}
    assert {key: (each.labels, each.value) for key, each in examples.items()} == {
        "4.0": ({"trace_id": TRACE}, 2),
        "total": ({"trace_id": TRACE}, 1),
    }


@pytest.mark.parametrize("labels", [{}, {"operation": "get"}, {"op": "get", "model": "m"}])
def test_labels_that_are_not_the_metrics_are_refused(metrics: PrometheusMetrics, labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"dllm_redis_latency_seconds has the labels \('op',\)"):
        metrics.record(REDIS_LATENCY, 1, **labels)


def test_threads_that_record_the_first_value_together_lose_none(metrics: PrometheusMetrics) -> None:
    barrier = threading.Barrier(8)

    def record(number: int) -> None:
        barrier.wait()
        for metric in ALL:
            if metric.kind == "counter":
                metrics.record(metric, 1, **dict.fromkeys(metric.labels, str(number % 2)))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for metric in ALL:
        if metric.kind == "counter":
            found = [sample.value for sample in samples(metrics) if sample.name == metric.name]
            assert sum(found) == 8


def test_what_a_collector_gives_has_the_name_and_labels_of_its_metric() -> None:
    gauge = family_of(QUEUE_DEPTH, {("m", "q", "flex"): 3.0})
    assert gauge.type == "gauge"
    assert gauge.samples == [Sample("dllm_queue_depth", {"model": "m", "queue": "q", "band": "flex"}, 3.0)]
    counter = family_of(MIGRATIONS, {("m", "lost"): 2.0})
    assert counter.type == "counter"
    assert [sample.name for sample in counter.samples] == ["dllm_migrations_total"]


def test_a_process_has_one_registry_which_knows_its_memory() -> None:
    metrics = process_metrics()
    assert metrics is process_metrics()
    resident = metrics.registry.get_sample_value("process_resident_memory_bytes")
    assert resident is not None
    assert resident > 1 << 20
