"""Processes that answer over HTTP here, and the exposition that a gateway makes of their answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed_text

from deployments.telemetry import collection
from deployments.telemetry.collection import Collection, merged
from deployments.telemetry.exposition import Exposition
from deployments.telemetry.names import (
    METRICS_PROCESSES,
    MIGRATIONS,
    QUEUE_DEPTH,
    REDIS_LATENCY,
    REQUEST_DURATION,
)
from deployments.telemetry.prometheus import PrometheusMetrics
from deployments.telemetry.targets import MemoryTargets, Target

LOOPBACK = "127.0.0.1"
WAIT_SECONDS = 5.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3"
Run = Callable[[str, str], PrometheusMetrics]
Read = Callable[[MemoryTargets], Awaitable[dict[str, Family]]]


@pytest.fixture
def targets() -> MemoryTargets:
    return MemoryTargets()


@pytest.fixture
def running(targets: MemoryTargets) -> Iterator[dict[str, Exposition]]:
    """The processes that run, by name."""
    expositions: dict[str, Exposition] = {}
    yield expositions
    for exposition in expositions.values():
        exposition.close()


@pytest.fixture
def run(targets: MemoryTargets, running: dict[str, Exposition]) -> Run:
    """Starts a process."""

    def start(component: str, replica: str) -> PrometheusMetrics:
        metrics = PrometheusMetrics(CollectorRegistry())
        exposition = Exposition(metrics.registry, component, replica, LOOPBACK)
        running[exposition.target.process] = exposition
        targets.announce(exposition.target)
        return metrics

    return start


async def text_of(targets: MemoryTargets) -> dict[str, Family]:
    content_type, text = await Collection(targets).collect("")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return named(parsed_text(text))


async def openmetrics_of(targets: MemoryTargets) -> dict[str, Family]:
    content_type, text = await Collection(targets).collect(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    return named(parsed_openmetrics(text))  # type: ignore[no-untyped-call]


def named(families: Iterable[Family]) -> dict[str, Family]:
    """Families by name, each of which there is once, as is each series."""
    found = list(families)
    series = [(sample.name, tuple(sorted(sample.labels.items()))) for family in found for sample in family.samples]
    assert len(series) == len(set(series))
    assert len(found) == len({family.name for family in found})
    assert not [name for name, _ in series if name.endswith("_created")]
    return {family.name: family for family in found}


def values(family: Family) -> dict[str, float]:
    return {sample.labels["process"]: sample.value for sample in family.samples if "process" in sample.labels}


def processes(families: dict[str, Family]) -> dict[str, float]:
    return {sample.labels["state"]: sample.value for sample in families[METRICS_PROCESSES.name].samples}


@pytest.mark.parametrize("read", [text_of, openmetrics_of])
async def test_each_family_has_the_series_of_all_processes(targets: MemoryTargets, run: Run, read: Read) -> None:
    one, two, worker = run("gateway", "aa"), run("gateway", "bb"), run("worker", "aa")
    for number, gateway in enumerate((one, two), 1):
        gateway.record(MIGRATIONS, number, model="m", outcome="lost")
        gateway.record(REQUEST_DURATION, 0.3, model="m", band="normal")
    worker.record(QUEUE_DEPTH, 7, model='a "quoted" \\ name\nof two\u2028lines', queue="q", band="flex")
    families = await read(targets)
    assert values(families["dllm_migrations"]) == {"gateway-aa": 1, "gateway-bb": 2}
    assert values(families[QUEUE_DEPTH.name]) == {"worker-aa": 7}
    assert families[QUEUE_DEPTH.name].samples[0].labels["model"] == 'a "quoted" \\ name\nof two\u2028lines'
    buckets = [sample for sample in families[REQUEST_DURATION.name].samples if sample.name.endswith("_bucket")]
    assert len(buckets) == 2 * (len(REQUEST_DURATION.buckets) + 1)
    assert families[REQUEST_DURATION.name].documentation == REQUEST_DURATION.meaning
    assert processes(families) == {"answered": 3, "failed": 0}


async def test_examples_come_through_where_the_format_has_them(targets: MemoryTargets, run: Run) -> None:
    run("gateway", "aa").record(REDIS_LATENCY, 0.004, trace_id=TRACE, op="get")
    families = await openmetrics_of(targets)
    (example,) = [sample.exemplar for sample in families[REDIS_LATENCY.name].samples if sample.exemplar]
    assert (example.labels, example.value) == ({"trace_id": TRACE}, 0.004)
    assert not [sample for sample in (await text_of(targets))[REDIS_LATENCY.name].samples if sample.exemplar]


@pytest.mark.parametrize("read", [text_of, openmetrics_of])
async def test_without_any_process_there_is_still_an_exposition(targets: MemoryTargets, read: Read) -> None:
    assert processes(await read(targets)) == {"answered": 0, "failed": 0}


async def test_a_process_that_is_gone_is_missing_and_forgotten_when_it_failed_twice(
    targets: MemoryTargets, run: Run, running: dict[str, Exposition], caplog: pytest.LogCaptureFixture
) -> None:
    for replica in ("aa", "bb"):
        run("worker", replica).record(MIGRATIONS, 1, model="m", outcome="lost")
    running.pop("worker-bb").close()
    collecting = Collection(targets)
    for known in (2, 1):
        families = named(parsed_text((await collecting.collect(""))[1]))
        assert values(families["dllm_migrations"]) == {"worker-aa": 1}
        assert processes(families) == {"answered": 1, "failed": 1}
        assert len(targets.all()) == known
    assert "worker-bb gives no metrics and is taken for dead" in caplog.text
    assert processes(named(parsed_text((await collecting.collect(""))[1]))) == {"answered": 1, "failed": 0}


async def test_a_failure_that_passes_is_forgiven(
    targets: MemoryTargets, run: Run, running: dict[str, Exposition]
) -> None:
    run("worker", "aa")
    right = running["worker-aa"].target
    wrong, collecting = replace(right, token="another"), Collection(targets)
    for target in (wrong, right, wrong, right):
        targets.announce(target)
        await collecting.collect("")
    assert targets.all() == (right,)


async def test_who_came_by_the_port_of_a_dead_process_is_not_taken_for_it(
    targets: MemoryTargets, run: Run, running: dict[str, Exposition]
) -> None:
    run("worker", "aa").record(MIGRATIONS, 1, model="m", outcome="lost")
    targets.announce(Target("worker", "dead", running["worker-aa"].target.address, "its token"))
    families = await text_of(targets)
    assert values(families["dllm_migrations"]) == {"worker-aa": 1}
    assert processes(families) == {"answered": 1, "failed": 1}


@contextmanager
def silent() -> Iterator[str]:
    """An address at which connections are taken and nothing is said."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield f"{LOOPBACK}:{listener.getsockname()[1]}"


async def test_a_process_that_says_nothing_does_not_keep_the_others_waiting(
    targets: MemoryTargets, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "LIMIT_SECONDS", 0.2)
    run("worker", "aa")
    with silent() as address:
        targets.announce(Target("worker", "hung", address, "token"))
        async with asyncio.timeout(WAIT_SECONDS):
            assert processes(await text_of(targets)) == {"answered": 1, "failed": 1}


class Unlistable(MemoryTargets):
    """Fails or hangs, when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.going_on: threading.Event | None = None
        self.asked = 0

    def all(self) -> tuple[Target, ...]:
        self.asked += 1
        if self.going_on is not None:
            self.going_on.wait(WAIT_SECONDS)
        if self.failing:
            raise ConnectionError
        return super().all()


async def test_while_the_list_cannot_be_read_the_last_one_holds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(collection, "LIMIT_SECONDS", 0.2)
    targets, metrics = Unlistable(), PrometheusMetrics(CollectorRegistry())
    exposition = Exposition(metrics.registry, "worker", "aa", LOOPBACK)
    targets.announce(exposition.target)
    collecting = Collection(targets)

    async def answered() -> float:
        return processes(named(parsed_text((await collecting.collect(""))[1])))["answered"]

    assert await answered() == 1
    targets.failing = True
    assert await answered() == 1
    targets.failing, targets.going_on = False, threading.Event()
    asked = targets.asked
    assert [await answered() for _ in range(3)] == [1, 1, 1]
    assert targets.asked == asked + 1, "a list that does not come is waited for, and not asked for again"
    targets.going_on.set()
    exposition.close()
    assert caplog.text.count("cannot be listed") == 4


@pytest.mark.parametrize(
    ("path", "token", "status"), [("/metrics", "right", 200), ("/metrics", "wrong", 401), ("/", "right", 404)]
)
def test_a_process_answers_only_who_knows_its_token(path: str, token: str, status: int) -> None:
    exposition = Exposition(CollectorRegistry(), "worker", "aa", LOOPBACK)
    try:
        key = exposition.target.token if token == "right" else token
        answer = httpx.get(f"http://{exposition.target.address}{path}", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == status
    finally:
        exposition.close()


def test_a_port_is_free_again_when_its_process_is_closed() -> None:
    exposition = Exposition(CollectorRegistry(), "worker", "aa", LOOPBACK)
    exposition.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{exposition.target.address}/metrics")


def test_expositions_are_merged_family_by_family() -> None:
    one = '# HELP a A.\n# TYPE a gauge\na{process="1"} 1\n# HELP b B.\n# TYPE b gauge\nb{process="1"} 1\n# EOF\n'
    two = '# HELP b Other.\n# TYPE b gauge\nb{process="2"} 2\n# HELP a A.\n# TYPE a gauge\na{process="2"} 2\n# EOF\n'
    assert merged([one, two]) == (
        '# HELP a A.\n# TYPE a gauge\na{process="1"} 1\na{process="2"} 2\n'
        '# HELP b B.\n# TYPE b gauge\nb{process="1"} 1\nb{process="2"} 2\n# EOF\n'
    )
    assert merged(["# TYPE a gauge\na 1\n", ""]) == "# TYPE a gauge\na 1\n"
