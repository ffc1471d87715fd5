from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helm.chart import VALUES, every, pick, pod_templates, render
from tests.helm.connections import connections
from tests.helm.edges import OUTSIDE, Edge, let_in, let_out, outsiders, selects, within

SHAPES: tuple[dict[str, str], ...] = (
    {"service__grpc": "false"},
    {"ray__autoscaler": "false", "workers__cpu__maxReplicas": "1"},
    {"gcs__faultTolerance": "false"},
    {"collector__enabled": "true"},
    {"capacity__enabled": "true"},
    {"config__telemetry__traces": '{"exporter": "otlp", "endpoint": "http://traces.other:4318", "protocol": "http"}'},
    {"config__autoscaling__activity__prometheus_url": '"http://prometheus.monitoring:9090"'},
    {"externalRedis__url": '"redis+cluster://one:7000,two:7001"'},
    {"externalRedis__url": '"redis+sentinel://one,two:7000/primary"'},
    {"config__http__port": "8080", "config__admin__port": "8088", "monitoring__scrapeConfig": "true"},
)


@pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")
def test_the_policies_let_through_what_the_program_opens_and_nothing_else(values: tuple[str, ...]) -> None:
    assert_exact(render(*values, **outsiders()))


@pytest.mark.parametrize("sets", SHAPES, ids=lambda sets: " ".join(sets))
def test_the_policies_follow_the_values(sets: dict[str, str]) -> None:
    assert_exact(render(**outsiders(), **sets))


def assert_exact(objects: list[Any]) -> None:
    into, out = let_in(objects), let_out(objects)
    assert within(into) == within(out)
    assert into | out == connections(objects)


@pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")
def test_every_pod_is_denied_everything_first_and_pods_of_others_nothing(values: tuple[str, ...]) -> None:
    objects = render(*values, **outsiders())
    deny = pick(objects, "NetworkPolicy", "deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & deny.keys()
    for _, template in pod_templates(objects):
        assert selects(deny["podSelector"], template["metadata"]["labels"])
    for policy in every(objects, "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert not selects(policy["spec"]["podSelector"], {"app.kubernetes.io/component": "head"})


def test_an_empty_list_of_peers_lets_nobody_through() -> None:
    nobody = dict.fromkeys(outsiders(), "[]")
    more = {"monitoring__scrapeConfig": "true", "monitoring__podMonitor": "true", "weights__hub__enabled": "true"}
    objects = render("ha", **nobody, **more)
    for policy in every(objects, "NetworkPolicy"):
        rules = policy["spec"].get("ingress", []) + policy["spec"].get("egress", [])
        assert all(rule.get("from") or rule.get("to") for rule in rules)
    edges = let_in(objects) | let_out(objects)
    assert within(edges) == edges != set()


def test_the_dashboard_of_ray_is_for_the_operator_of_kuberay_alone() -> None:
    outside = {edge for edge in let_in(render(**outsiders())) if edge.source in OUTSIDE and edge.target == "head"}
    assert outside == {Edge("kuberay", "head", 8265)}


def test_the_weights_do_not_come_from_private_addresses() -> None:
    [rule] = [
        rule
        for rule in pick(render(weights__hub__enabled="true"), "NetworkPolicy", "ray")["spec"]["egress"]
        if rule.get("ports") == [{"port": 443, "protocol": "TCP"}]
    ]
    assert "169.254.0.0/16" in rule["to"][0]["ipBlock"]["except"]


def test_policies_can_be_left_to_others() -> None:
    assert every(render(networkPolicy__enabled=json.dumps(False)), "NetworkPolicy") == []
