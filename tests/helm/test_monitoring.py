from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import every, pick, ray_pods, render
from tests.helm.documents import ALERTS, DASHBOARDS
from tests.helm.edges import selects

ALL = {f"monitoring__{name}": "true" for name in ("podMonitor", "scrapeConfig", "rules", "dashboards")}
CONFIG_MAP_BYTES = 1 << 20
MARGIN_BYTES = 64 << 10
"""Of the most that Kubernetes takes, for the rest of the object."""

RUNBOOKS = "https://git.example.com/dllm/blob/main"


def written_groups(prefix: str = "") -> list[Any]:
    """The groups of the files of alerts, with ``prefix`` in front of each runbook."""
    groups = [group for path in ALERTS for group in yaml.safe_load(path.read_text())["groups"]]
    for group in deepcopy(groups):
        for rule in group["rules"]:
            if "annotations" in rule:
                rule["annotations"]["runbook_url"] = prefix + rule["annotations"]["runbook_url"]
    return groups


def test_the_rules_are_those_of_the_files() -> None:
    groups = pick(render(**ALL), "PrometheusRule")["spec"]["groups"]
    assert groups == written_groups()
    assert sum(len(group["rules"]) for group in groups) > len(ALERTS)


@pytest.mark.parametrize("url", [RUNBOOKS, f"{RUNBOOKS}/"])
def test_an_alert_leads_to_its_runbook(url: str) -> None:
    rendered = pick(render(**ALL, monitoring__runbookUrl=json.dumps(url)), "PrometheusRule")["spec"]["groups"]
    alerts = [rule for group in rendered for rule in group["rules"] if "alert" in rule]
    for alert in alerts:
        root, _, page = alert["annotations"]["runbook_url"].rpartition("docs/runbooks/")
        assert (root, page) == (f"{RUNBOOKS}/", f"{alert['alert']}.md")
        assert (Path(__file__).parents[2] / "docs" / "runbooks" / page).exists()


def test_each_dashboard_is_in_a_config_map_that_grafana_finds() -> None:
    objects = render(**ALL)
    maps = [each for each in every(objects, "ConfigMap") if each["metadata"]["labels"].get("grafana_dashboard") == "1"]
    data = {name: text for each in maps for name, text in each["data"].items()}
    assert {name: json.loads(text) for name, text in data.items()} == {
        path.name: json.loads(path.read_text()) for path in DASHBOARDS
    }
    assert len(maps) == len(DASHBOARDS)
    assert max(len(json.dumps(each).encode()) for each in maps) < CONFIG_MAP_BYTES - MARGIN_BYTES


def test_prometheus_reads_the_figures_of_all_processes_at_one_address_with_the_admin_key() -> None:
    objects = render(**ALL)
    spec = pick(objects, "ScrapeConfig")["spec"]
    service = pick(objects, "Service", "admin")
    [port] = service["spec"]["ports"]
    [target] = [target for each in spec["staticConfigs"] for target in each["targets"]]
    assert target == f"{service['metadata']['name']}.dllm.svc:{port['port']}"
    credentials = spec["authorization"]["credentials"]
    secret = pick(objects, "Secret", credentials["name"])
    assert credentials["key"] in {**secret.get("data", {}), **secret.get("stringData", {})}
    gateway = ray_pods(pick(objects, "RayService"))["gateway"]
    assert selects({"matchLabels": service["spec"]["selector"]}, gateway["metadata"]["labels"])


def test_an_admin_key_of_ones_own_opens_the_metrics() -> None:
    sets = ALL | {"admin__existingSecret": '"operators"', "admin__key": '"credential"'}
    spec = pick(render(**sets), "ScrapeConfig")["spec"]
    assert spec["authorization"]["credentials"] == {"name": "operators", "key": "credential"}


def test_the_pod_monitor_finds_the_nodes_of_ray_and_their_port() -> None:
    objects = render("ha", **ALL, collector__enabled="true")
    spec = pick(objects, "PodMonitor")["spec"]
    [endpoint] = spec["podMetricsEndpoints"]
    for template in ray_pods(pick(objects, "RayService")).values():
        assert selects(spec["selector"], template["metadata"]["labels"])
        ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        assert ports[endpoint["port"]] == 8080
    collector = pick(objects, "Deployment", "collector")["spec"]["template"]
    assert not selects(spec["selector"], collector["metadata"]["labels"])


def test_prometheus_finds_its_objects_by_the_labels_that_are_given() -> None:
    objects = render(**ALL, monitoring__labels='{"release": "stack"}')
    for kind in ("PodMonitor", "ScrapeConfig", "PrometheusRule"):
        assert pick(objects, kind)["metadata"]["labels"]["release"] == "stack"


def test_nothing_of_it_is_there_where_the_operator_of_prometheus_is_not() -> None:
    kinds = {each["kind"] for each in render()}
    assert not kinds & {"PodMonitor", "ScrapeConfig", "PrometheusRule", "ConfigMap"}
