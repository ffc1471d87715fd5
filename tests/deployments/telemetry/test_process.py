from __future__ import annotations

import queue
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
import ray
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from ray import serve
from ray.serve.request_router import ReplicaID

from deployments.telemetry import process
from deployments.telemetry.process import Announcement, Exposed
from deployments.telemetry.prometheus import process_metrics
from deployments.telemetry.targets import MemoryTargets, Target

WAIT_SECONDS = 20.0
TARGET = Target("worker", "aa", "127.0.0.1:1", "token")


class Told(MemoryTargets):
    """Says what it was told, and may fail then."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.changes: queue.SimpleQueue[str] = queue.SimpleQueue()

    def announce(self, target: Target) -> None:
        self.changes.put("announced")
        if self.failing:
            raise ConnectionError("gone")
        super().announce(target)

    def remove(self, target: Target) -> None:
        super().remove(target)
        self.changes.put("removed")

    def hear(self) -> str:
        return self.changes.get(timeout=WAIT_SECONDS)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Where the processes of these tests announce themselves."""
    targets = Told()
    monkeypatch.setattr(process, "RayTargets", lambda application: targets)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    return targets


def test_a_process_is_known_from_its_announcement_until_it_is_closed(told: Told) -> None:
    announcement = Announcement(TARGET, told)
    assert told.hear() == "announced"
    announcement.close()
    assert told.hear() == "removed"
    assert told.all() == ()
    assert told.changes.empty()


def test_a_process_that_was_thought_dead_is_known_again(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    announcement = Announcement(TARGET, told, renew_seconds=0.001)
    assert told.hear() == "announced"
    told.remove(TARGET)
    while told.hear() != "removed":
        pass
    assert told.hear() == "announced"
    announcement.close()
    assert told.all() == ()


def test_announcements_go_on_when_one_fails(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    told.failing = True
    announcement = Announcement(TARGET, told, renew_seconds=0.001)
    for _ in range(3):
        assert told.hear() == "announced"
    told.failing = False
    while not told.all():
        assert told.hear() == "announced"
    announcement.close()
    assert "where the metrics of worker-aa are cannot be told: gone" in caplog.text


class Seven(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("test_seven", "Seven.", 7)


def test_a_replica_gives_its_metrics_and_those_of_its_collectors_until_it_is_closed(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = ReplicaID.from_full_id_str("SERVE_REPLICA::app#worker:m:default#r1")
    monkeypatch.setattr(serve, "get_replica_context", lambda: SimpleNamespace(replica_id=replica))
    exposed = Exposed.replica("worker", Seven())
    assert told.hear() == "announced"
    (target,) = told.all()
    url, headers = f"http://{target.address}/metrics", {"authorization": f"Bearer {target.token}"}
    lines = httpx.get(url, headers=headers).text.splitlines()
    assert 'test_seven{process="worker-r1"} 7.0' in lines
    assert any(line.startswith('process_resident_memory_bytes{process="worker-r1"}') for line in lines)
    exposed.close()
    exposed.close()
    assert told.all() == ()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, headers=headers)
    assert process_metrics().registry.get_sample_value("test_seven") is None


def test_a_process_that_cannot_listen_goes_on_unseen(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "192.0.2.1")
    Exposed("app", "controller").close()
    assert told.all() == ()
    assert "the metrics of this controller cannot be read" in caplog.text
