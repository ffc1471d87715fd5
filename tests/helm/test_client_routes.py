"""The ways of clients to the gateways, and the operator's, which is none of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helm.chart import VALUES, every, pick, ray_pods, render, typed

INGRESS = {
    "ingress__enabled": "true",
    "ingress__host": '"api.example.com"',
    "ingress__grpcHost": '"grpc.example.com"',
    "ingress__tls": '[{"secretName": "tls", "hosts": ["api.example.com", "grpc.example.com"]}]',
}
NGINX = "nginx.ingress.kubernetes.io"


def ports(service: Any) -> dict[str, int]:
    return {port["name"]: port["port"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("values", VALUES)
def test_the_services_lead_to_the_ports_of_the_gateways(values: tuple[str, ...]) -> None:
    objects = render(*values)
    ray_service = pick(objects, "RayService")
    clients, admin = pick(objects, "Service", ray_service["metadata"]["name"]), pick(objects, "Service", "admin")
    config, gateway = typed(ray_service), ray_pods(ray_service)["gateway"]
    assert ports(clients) == {"http": config.http.port, "grpc": config.grpc.port}
    assert ports(admin) == {"admin": config.admin.port}
    assert admin["spec"]["type"] == "ClusterIP"
    offered = {port["name"]: port["containerPort"] for port in gateway["spec"]["containers"][0]["ports"]}
    for service in (clients, admin):
        assert service["spec"]["selector"].items() <= gateway["metadata"]["labels"].items()
        assert all(offered[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])
    [grpc] = [port for port in clients["spec"]["ports"] if port["name"] == "grpc"]
    assert grpc["appProtocol"] == "kubernetes.io/h2c"


@pytest.mark.parametrize("group", ["head", "h100", "l40s"])
def test_the_services_lead_to_no_other_pod(group: str) -> None:
    objects = render("mixed")
    labels = ray_pods(pick(objects, "RayService"))[group]["metadata"]["labels"].items()
    assert not any(service["spec"]["selector"].items() <= labels for service in every(objects, "Service"))


def test_the_ports_are_those_of_the_configuration() -> None:
    objects = render(config__http__port="8100", config__admin__port="8101", config__grpc='{"port": 8102}')
    found = [ports(service) for service in every(objects, "Service") if "gcs" not in service["metadata"]["name"]]
    assert {"http": 8100, "grpc": 8102} in found
    assert {"admin": 8101} in found
    assert [ports(pick(render(service__grpc="false"), "Service", "release-dllm-cluster"))] == [{"http": 8000}]


def test_the_ingress_neither_buffers_nor_cuts_a_stream() -> None:
    objects = render(**INGRESS, config__http__max_body_bytes="3000000")
    annotations = pick(objects, "Ingress", "release-dllm-cluster")["metadata"]["annotations"]
    assert annotations == {
        f"{NGINX}/proxy-buffering": "off",
        f"{NGINX}/proxy-body-size": "3000000",
        f"{NGINX}/proxy-read-timeout": "3600",
        f"{NGINX}/proxy-send-timeout": "3600",
        f"{NGINX}/limit-connections": "256",
        f"{NGINX}/limit-rps": "100",
    }


def test_one_address_has_not_all_connections_unless_the_operator_says_so() -> None:
    for ingress in every(
        render(**INGRESS, ingress__requestsPerSecond="7", ingress__connectionsPerAddress="0"), "Ingress"
    ):
        assert ingress["metadata"]["annotations"][f"{NGINX}/limit-rps"] == "7"
        assert f"{NGINX}/limit-connections" not in ingress["metadata"]["annotations"]


def test_grpc_has_an_ingress_of_its_own() -> None:
    grpc = pick(render(**INGRESS), "Ingress", "grpc")
    assert grpc["metadata"]["annotations"][f"{NGINX}/backend-protocol"] == "GRPC"
    [rule] = grpc["spec"]["rules"]
    assert rule["host"] == "grpc.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"]["port"] == {"name": "grpc"}


def test_annotations_that_are_given_go_before_those_of_the_chart() -> None:
    given = {**INGRESS, "ingress__annotations": f'{{"{NGINX}/proxy-body-size": "9m"}}', "ingress__grpcHost": '""'}
    annotations = pick(render(**given), "Ingress")["metadata"]["annotations"]
    assert annotations[f"{NGINX}/proxy-body-size"] == "9m"
    assert annotations[f"{NGINX}/proxy-buffering"] == "off"
    other = pick(render(**{**INGRESS, "ingress__controller": '"none"', "ingress__grpcHost": '""'}), "Ingress")
    assert "annotations" not in other["metadata"]


def test_a_gateway_lets_streams_take_their_time() -> None:
    objects = render("ha")
    http, grpc = pick(objects, "HTTPRoute"), pick(objects, "GRPCRoute")
    assert http["spec"]["rules"][0]["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    assert http["spec"]["hostnames"] == ["dllm.example.com"]
    assert grpc["spec"]["hostnames"] == ["grpc.dllm.example.com"]
    assert http["spec"]["parentRefs"] == grpc["spec"]["parentRefs"] == [{"name": "public", "namespace": "gateways"}]


def test_no_way_from_outside_leads_to_the_operators_port() -> None:
    for objects in (render(**INGRESS), render("ha")):
        outside = [each for each in objects if each["kind"] in {"Ingress", "HTTPRoute", "GRPCRoute"}]
        assert outside
        assert not any("admin" in str(each["spec"]) or "8001" in str(each["spec"]) for each in outside)
