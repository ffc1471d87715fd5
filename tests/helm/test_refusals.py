"""What the chart does not render, and what it says then."""

from __future__ import annotations

import json

import pytest

from tests.helm.chart import RenderError, render


def models(**pool: object) -> str:
    return json.dumps([{"id": "tiny", "checkpoint": "embedded:tiny-code", "pools": [{"name": "only"} | pool]}])


def workers(**group: object) -> str:
    resources = {"limits": {"cpu": 4, "memory": "4Gi"}, "requests": {"cpu": 4, "memory": "4Gi"}}
    return json.dumps({"minReplicas": 1, "maxReplicas": 2, "resources": resources} | group)


POOLS = [
    (
        models(accelerator={"type": "H100"}),
        "tiny: pool only: no group of workers offers its accelerator, labels, gpus and cpus",
    ),
    (models(cpus=4, replicas=3), "tiny: pool only: 3 replicas are more than the 2 that cpu can hold"),
    (models(cpus=3, max_replicas=3), "tiny: pool only: 3 replicas are more than the 2 that cpu can hold"),
    (models(accelerator={"labels": {"dllm/role": "gateway"}}), "tiny: accelerator.labels: dllm/role is the chart's"),
]


@pytest.mark.parametrize(("config", "said"), POOLS)
def test_a_pool_that_no_group_can_hold_is_refused(config: str, said: str) -> None:
    with pytest.raises(RenderError) as refused:
        render(config__models=config, workers__cpu=workers())
    assert f"config.models: {said}" in str(refused.value)


def test_pools_that_fit_one_by_one_only_are_refused() -> None:
    pair = [{"id": name, "checkpoint": "embedded:tiny-code", "pools": [{"cpus": 4, "replicas": 2}]} for name in "ab"]
    with pytest.raises(RenderError, match="their replicas ask for 16 cpus, and the groups of workers have at most 8"):
        render(config__models=json.dumps(pair), workers__cpu=workers())


OWN = [
    ("http.host", '"127.0.0.1"'),
    ("admin.host", '"127.0.0.1"'),
    ("admin.key_file", '"/key"'),
    ("state.url", '"redis://elsewhere"'),
    ("gateway.labels", '{"a": "b"}'),
    ("gateway.drain_seconds", "5"),
    ("ray.address", '"auto"'),
    ("ray.dashboard", "true"),
    ("tenancy_file", '"/tenants"'),
]


@pytest.mark.parametrize(("path", "value"), OWN)
def test_what_the_chart_knows_is_not_to_be_given(path: str, value: str) -> None:
    with pytest.raises(RenderError, match=rf"config\.{path}: it is the chart's to say") as refused:
        render(**{f"config__{path.replace('.', '__')}": value})
    assert value.strip('"') not in str(refused.value)


VALUES = [
    ({"workers__cpu": workers(minReplicas=3)}, "workers.cpu: minReplicas is 3 and maxReplicas is 2"),
    ({"workers__cpu": workers(labels={"dllm/role": "x"})}, "workers.cpu.labels: dllm/role is the chart's to say"),
    ({"workers__gateway": workers()}, "workers.gateway: that is the name of the gateways' group"),
    ({"ray__autoscaler": "false"}, "workers.cpu: without ray.autoscaler minReplicas and maxReplicas are the same"),
    ({"ray__environment": '{"HOME": "/root"}'}, "ray.environment.HOME: it is the chart's to say"),
    ({"ray__environment": '{"RAY_AUTH_MODE": "disabled"}'}, "ray.environment.RAY_AUTH_MODE: it is the chart's to say"),
    ({"config__gateway__replicas": "3"}, "3 are not the same number for each of the 2 pods of gateways"),
    ({"config__gateway__cpus": "0.5"}, "config.gateway.cpus: the gateways of a pod take 0.5"),
    ({"config__gateway__cpus": "3"}, "config.gateway.cpus: the gateways of a pod take 3, which is more"),
    ({"gateways__probe": '"grpc"', "service__grpc": "false"}, "gateways.probe: grpc needs service.grpc"),
    ({"valkey__enabled": "false"}, "the state needs a server"),
    (
        {"valkey__enabled": "false", "externalRedis__url": '"redis://db"'},
        "gcs.faultTolerance: it needs a server",
    ),
    ({"externalRedis__url": '"http://db"'}, "externalRedis.url: expected a redis"),
    ({"externalRedis__url": '"redis://db?password=/x"'}, "externalRedis.url: it must not hold a query"),
    (
        {"externalRedis__url": '"redis://db"', "externalRedis__tls__existingSecret": '"tls"'},
        "externalRedis.tls: it needs a rediss URL",
    ),
    (
        {
            "externalRedis__url": '"rediss://db"',
            "externalRedis__tls__existingSecret": '"tls"',
            "externalRedis__tls__certKey": '"tls.crt"',
        },
        "externalRedis.tls: certKey and keyKey go together",
    ),
    (
        {"gcs__externalRedis__address": '"db:6379"', "gcs__externalRedis__tls__existingSecret": '"tls"'},
        "gcs.externalRedis.tls: it needs a rediss address",
    ),
    ({"image__tag": '""', "valkey__image__tag": '""'}, "an image needs a tag or a digest"),
    ({"upgrade__strategy": '"NewClusterWithIncrementalUpgrade"'}, "upgrade.incremental.gatewayClassName"),
    ({"ingress__enabled": "true"}, "ingress.host: name the host"),
    ({"ingress__enabled": "true", "ingress__host": '"a.example"', "ingress__grpcHost": '"g.example"'}, "ingress.tls"),
    ({"gatewayApi__enabled": "true"}, "gatewayApi.parentRefs: name the Gateway"),
    ({"weights__objectStore__source": '"s3:b/m"'}, "weights.objectStore.existingSecret: name the Secret"),
]


@pytest.mark.parametrize(("values", "said"), VALUES, ids=lambda part: part if isinstance(part, str) else "")
def test_values_that_contradict_each_other_are_refused(values: dict[str, str], said: str) -> None:
    with pytest.raises(RenderError) as refused:
        render(**values)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {"externalRedis__url": '"redis://user:canary@db"'},
        {"gcs__externalRedis__address": '"redis://:canary@db:6379"'},
        {"config__admin": '{"key": "canary-canary-canary"}'},
        {"config__keys": '[{"tenant": "a", "key": "canary"}]'},
    ],
)
def test_a_secret_among_the_values_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(RenderError):
        render(**values)
