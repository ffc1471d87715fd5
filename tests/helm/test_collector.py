from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.helm.chart import Object, RenderError, pick, render, typed

EXPORT = {
    "collector__export__endpoint": '"traces.example.com:4317"',
    "collector__export__existingSecret": '"traces"',
    "collector__export__header": '"x-api-key"',
    "collector__export__key": '"token"',
}


def rendered(**sets: str) -> list[Object]:
    return render(collector__enabled="true", **sets)


def configuration(objects: list[Object]) -> Any:
    return yaml.safe_load(pick(objects, "ConfigMap", "collector")["data"]["config.yaml"])


def container(objects: list[Object]) -> Any:
    [found] = pick(objects, "Deployment", "collector")["spec"]["template"]["spec"]["containers"]
    return found


def test_the_program_sends_its_spans_to_the_collector() -> None:
    objects = rendered()
    traces = typed(pick(objects, "RayService")).telemetry.traces
    service = pick(objects, "Service", "collector")
    assert (traces.exporter, traces.protocol) == ("otlp", "grpc")
    at = urlsplit(traces.endpoint or "")
    assert (at.hostname, at.port) == (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    receiver = configuration(objects)["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    [port] = [port for port in container(objects)["ports"] if port["name"] == service["spec"]["ports"][0]["targetPort"]]
    assert receiver == f"0.0.0.0:{port['containerPort']}"


@pytest.mark.parametrize("sets", [{}, EXPORT, {"collector__tailSampling__enabled": "true"}], ids=["log", "out", "tail"])
def test_every_part_of_the_pipeline_is_configured_and_every_part_is_in_it(sets: dict[str, str]) -> None:
    config = configuration(rendered(**sets))
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert sorted(pipeline[kind]) == sorted(config[kind])
    assert config["service"]["extensions"] == list(config["extensions"])
    # What bounds the memory comes first, and what makes batches of spans after all that drops some.
    assert (pipeline["processors"][0], pipeline["processors"][-1]) == ("memory_limiter", "batch")


def test_without_a_backend_spans_go_to_the_log() -> None:
    assert configuration(rendered())["exporters"] == {"debug": {}}


def test_the_credential_of_the_backend_comes_from_its_secret() -> None:
    objects = rendered(**EXPORT)
    exporter = configuration(objects)["exporters"]["otlp"]
    [variable] = container(objects)["env"]
    assert exporter["endpoint"] == "traces.example.com:4317"
    assert exporter["headers"] == {"x-api-key": f"${{env:{variable['name']}}}"}
    assert variable["valueFrom"] == {"secretKeyRef": {"name": "traces", "key": "token"}}
    assert exporter["tls"] == {"insecure": False}


def test_tail_sampling_keeps_what_failed_and_what_was_slow() -> None:
    config = configuration(rendered(collector__tailSampling='{"enabled": true, "slowSeconds": 3, "percentage": 7}'))
    policies = {policy["type"]: policy for policy in config["processors"]["tail_sampling"]["policies"]}
    assert policies["status_code"]["status_code"] == {"status_codes": ["ERROR"]}
    assert policies["latency"]["latency"] == {"threshold_ms": 3000}
    assert policies["probabilistic"]["probabilistic"] == {"sampling_percentage": 7}


def test_tail_sampling_needs_all_spans_of_a_trace_in_one_place() -> None:
    with pytest.raises(RenderError, match=r"collector\.tailSampling"):
        rendered(collector__tailSampling__enabled="true", collector__replicas="2")


def test_a_change_of_the_configuration_makes_new_pods() -> None:
    def checksum(**sets: str) -> str:
        annotations = pick(rendered(**sets), "Deployment", "collector")["spec"]["template"]["metadata"]["annotations"]
        return json.dumps(annotations)

    assert checksum() == checksum()
    assert checksum() != checksum(**EXPORT)


def test_the_collector_is_healthy_when_its_extension_says_so() -> None:
    objects = rendered()
    port = configuration(objects)["extensions"]["health_check"]["endpoint"].rpartition(":")[2]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container(objects)[probe]["httpGet"]["port"] == int(port)
