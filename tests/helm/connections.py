"""The connections that the program opens, read off what is rendered: its configuration, and the pods it runs in."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import yaml

from deployments.config import ClusterConfig
from deployments.state.address import StateAddress
from tests.helm.chart import Object, every, pick, pod_templates, ray_pods, typed
from tests.helm.edges import COMPONENT, EVERY_PORT, Edge, labels_of_pods

RAY = ("head", "gateway", "worker")
DASHBOARD, REDIS, DNS, HTTPS = 8265, 6379, 53, 443


def connections(objects: list[Object], api_server_ports: tuple[int, ...] = (443, 6443)) -> set[Edge]:
    """Every connection of the release."""
    service = pick(objects, "RayService")
    config = typed(service)
    found = {Edge(source, target, EVERY_PORT) for source in RAY for target in RAY}
    found |= {Edge("kuberay", "head", DASHBOARD)}
    found |= {Edge(pod, "dns", DNS) for pod in labels_of_pods(objects) if pod not in {"state", "gcs"}}
    found |= {Edge(pod, "apiServer", port) for pod in _with_token(objects) for port in api_server_ports}
    return found.union(
        _of_clients(config, objects), _of_state(config, service), _of_telemetry(config, objects), _of_weights(service)
    )


def _with_token(objects: list[Object]) -> Iterator[str]:
    for _, template in pod_templates(objects):
        spec = template["spec"]
        projected = [
            source for volume in spec.get("volumes", []) for source in volume.get("projected", {}).get("sources", [])
        ]
        if spec["automountServiceAccountToken"] or any("serviceAccountToken" in source for source in projected):
            yield template["metadata"]["labels"][COMPONENT]


def _of_clients(config: ClusterConfig, objects: list[Object]) -> Iterator[Edge]:
    doors = [config.http.port, *([config.grpc.port] if config.grpc.port else [])]
    yield from (Edge("clients", "gateway", port) for port in doors)
    yield Edge("operators", "gateway", config.admin.port)
    if "test" in labels_of_pods(objects):
        yield from (Edge("test", "gateway", port) for port in [*doors, config.admin.port])


def _of_state(config: ClusterConfig, service: Object) -> Iterator[Edge]:
    name = service["metadata"]["name"]
    address = StateAddress.parse(config.state.url)
    # The servers behind sentinels are told by these, so the URL does not say where they listen.
    behind = [REDIS] if address.topology == "sentinel" else []
    for host, port in address.hosts:
        target = "state" if host == f"{name}-state" else "redis"
        yield from (Edge("gateway", target, each) for each in [port, *behind])
    options = service["spec"]["rayClusterConfig"].get("gcsFaultToleranceOptions")
    if options is not None:
        gcs = urlsplit(options["redisAddress"] if "://" in options["redisAddress"] else f"//{options['redisAddress']}")
        yield Edge("head", "gcs" if gcs.hostname == f"{name}-gcs" else "redis", gcs.port or REDIS)


def _of_telemetry(config: ClusterConfig, objects: list[Object]) -> Iterator[Edge]:
    endpoint = config.telemetry.traces.endpoint
    if endpoint is not None:
        at = urlsplit(endpoint)
        target = "collector" if (at.hostname or "").endswith("-collector") else "traces"
        yield from (Edge(source, target, at.port or 0) for source in RAY)
    if "collector" in labels_of_pods(objects):
        exporters = yaml.safe_load(pick(objects, "ConfigMap", "collector")["data"]["config.yaml"])["exporters"]
        if "otlp" in exporters:
            yield Edge("collector", "traces", int(exporters["otlp"]["endpoint"].rpartition(":")[2]))
    if every(objects, "ScrapeConfig"):
        yield Edge("prometheus", "gateway", config.admin.port)
    if every(objects, "PodMonitor"):
        yield from (Edge("prometheus", target, 8080) for target in RAY)
    prometheus = config.autoscaling.activity.prometheus_url
    if prometheus is not None:
        yield Edge("worker", "prometheus", urlsplit(prometheus).port or 80)


def _of_weights(service: Object) -> Iterator[Edge]:
    for template in ray_pods(service).values():
        environment = {variable["name"] for variable in template["spec"]["containers"][0]["env"]}
        if "HF_HOME" in environment or template["spec"].get("initContainers"):
            yield Edge(template["metadata"]["labels"][COMPONENT], "weights", HTTPS)
