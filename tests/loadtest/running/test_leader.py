from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.arrivals.arrival import Arrival
from loadtest.arrivals.schedule import digest, schedule
from loadtest.figures.sample import Sample
from loadtest.running.leader import FAILED, PASSED, UNABLE, Leader
from loadtest.running.messages import Beginning, Progress
from loadtest.running.reach import Reach
from loadtest.scenario.scenario import Scenario
from tests.loadtest.cases import sample, scenario

NOWHERE = Reach("http://127.0.0.1:1/v1", None, None, None)
USUAL: dict[str, Any] = {
    "tenants": [{"name": "acme", "key_variable": "ACME_KEY"}],
    "warm_up_seconds": 0.0,
    "seconds": 20.0,
    "gates": [{"figure": "failed", "most": 0}],
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "a-key")


class Lead:
    """A leader of two workers, and what it tells them."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.scenario: Scenario = scenario(**USUAL | changes)
        self.arrivals: list[Arrival] = schedule(self.scenario, Path())
        self.leader = Leader(self.scenario, self.arrivals, NOWHERE, folder)
        self.told: dict[str, Beginning] = {}

    def start(self) -> None:
        self.leader.start(["one", "two"], self.told.__setitem__)

    def samples(self, **changes: Any) -> list[Sample]:
        return [sample(number=each.number, due=each.at, **changes) for each in self.arrivals]


def test_each_worker_is_told_its_part_and_the_keys(tmp_path: Path) -> None:
    lead = Lead(tmp_path)
    lead.start()
    assert [(each.index, each.count) for each in lead.told.values()] == [(0, 2), (1, 2)]
    assert {each.digest for each in lead.told.values()} == {digest(lead.arrivals)}
    assert lead.told["one"].keys == {"acme": "a-key"}
    lead.leader.stop()


@pytest.mark.parametrize(("outcome", "status"), [("ok", PASSED), ("internal_error", FAILED)])
def test_the_test_is_over_when_nobody_has_anything_before_him(tmp_path: Path, outcome: str, status: int) -> None:
    lead = Lead(tmp_path)
    lead.start()
    lead.leader.take("one", Progress(lead.samples(outcome=outcome), 0), 40.0)
    assert lead.leader.clients(2) == 4
    lead.leader.take("two", Progress([], 0), 60.0)
    assert lead.leader.clients(2) is None
    assert lead.leader.stop() == status
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"] is (status == PASSED)
    assert (report["environment"]["processes"], report["environment"]["processor_percent"]) == (2, 60.0)
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == len(lead.arrivals)


def test_a_request_that_nobody_tells_of_fails_the_test(tmp_path: Path) -> None:
    lead = Lead(tmp_path)
    lead.start()
    lead.leader.take("one", Progress(lead.samples()[1:], 0), 0.0)
    assert lead.leader.stop() == FAILED


@pytest.mark.parametrize(("command", "status"), [("pass", PASSED), ("raise SystemExit(3)", FAILED)])
def test_a_disturbance_that_does_not_come_about_fails_the_test(tmp_path: Path, command: str, status: int) -> None:
    disturbance = {"after_seconds": 0.0, "command": [sys.executable, "-c", command]}
    lead = Lead(tmp_path, disturbances=[disturbance])
    lead.start()
    lead.leader.take("one", Progress(lead.samples(), 0), 0.0)
    assert lead.leader.stop() == status
    assert "Disturbances" in (tmp_path / "report.md").read_text()


def test_a_worker_with_another_scenario_ends_the_test_without_a_report(tmp_path: Path) -> None:
    lead = Lead(tmp_path / "report")
    lead.start()
    lead.leader.take("one", Progress([], 5, "another scenario"), 0.0)
    assert lead.leader.clients(2) is None
    assert lead.leader.stop() == UNABLE
    assert not (tmp_path / "report").exists()


def test_a_test_without_keys_does_not_begin(tmp_path: Path) -> None:
    lead = Lead(tmp_path, tenants=[{"name": "acme"}])
    lead.start()
    assert (lead.told, lead.leader.clients(2), lead.leader.stop()) == ({}, None, UNABLE)


def test_before_the_start_there_is_a_client_for_each_process(tmp_path: Path) -> None:
    assert Lead(tmp_path, arrivals={"shape": "ramp"}).leader.clients(3) == 3
