"""The RayService: what Ray Serve is told, and the pods that it is told on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ray.serve.schema import ServeDeploySchema

from cluster.environment import node_environment
from cluster.serving import SERVING_ENVIRONMENT
from deployments.app import SHUTDOWN_SECONDS, gateway_options
from deployments.serve_config import serve_config
from deployments.telemetry.config import TRACES_ENVIRONMENT, TracesConfig
from tests.helm.chart import VALUES, Object, pick, ray_pods, render, serve_document, typed

every_shape = pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values) or "default")


def ray_service(*values: str, **sets: str) -> Object:
    return pick(render(*values, **sets), "RayService")


def cluster(*values: str, **sets: str) -> Any:
    return ray_service(*values, **sets)["spec"]["rayClusterConfig"]


def groups(*values: str, **sets: str) -> dict[str, Any]:
    return {group["groupName"]: group for group in cluster(*values, **sets)["workerGroupSpecs"]}


def container(template: Object) -> Any:
    [only] = template["spec"]["containers"]
    return only


def environment(template: Object) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(template)["env"] if "value" in variable}


@every_shape
def test_serve_is_told_what_the_typed_configuration_says(values: tuple[str, ...]) -> None:
    service = ray_service(*values)
    document, expected = serve_document(service), serve_config(typed(service))
    ServeDeploySchema.model_validate(document)
    [application], [of_config] = document.pop("applications"), expected.pop("applications")
    assert document == expected
    assert application | {"args": None} == of_config | {"args": None}


def test_the_documents_keys_for_grpc_follow_its_port() -> None:
    service = ray_service(service__grpc="false")
    assert "grpc_options" not in serve_document(service)
    assert typed(service).grpc.port is None
    assert serve_document(ray_service(config__grpc='{"port": 9100, "reflection": true}'))["grpc_options"] == {
        **serve_document(ray_service())["grpc_options"],
        "port": 9100,
        "enable_reflection": True,
    }


@every_shape
def test_every_ray_container_has_the_environment_of_a_node(values: tuple[str, ...]) -> None:
    service = ray_service(*values)
    expected = node_environment(typed(service))
    traces = TracesConfig.model_validate_json(expected.pop(TRACES_ENVIRONMENT))
    for template in ray_pods(service).values():
        found = environment(template)
        assert TracesConfig.model_validate(json.loads(found[TRACES_ENVIRONMENT])) == traces
        assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("serving", SERVING_ENVIRONMENT)
def test_the_environment_follows_the_way_of_serving(serving: str) -> None:
    service = ray_service(config__ray=json.dumps({"serving": serving}), config__http__max_body_bytes="3000000")
    expected = node_environment(typed(service))
    of_ray = {name for name in expected if name.startswith("RAY_")} | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"}
    for template in ray_pods(service).values():
        assert {name for name in environment(template) if name.startswith("RAY_")} == of_ray
        assert environment(template)["RAY_SERVE_GRPC_MAX_MESSAGE_SIZE"] == "12000000"


@every_shape
def test_a_pod_ends_when_its_work_has_moved(values: tuple[str, ...]) -> None:
    for template in ray_pods(ray_service(*values)).values():
        pause = container(template)["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain = int(environment(template)["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
        assert pause > 0
        assert template["spec"]["terminationGracePeriodSeconds"] > pause + drain + SHUTDOWN_SECONDS


@every_shape
def test_the_head_runs_nothing_of_ours(values: tuple[str, ...]) -> None:
    head = cluster(*values)["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "labels" not in head
    assert ray_service(*values)["spec"]["excludeHeadPodFromServeSvc"] is True


@every_shape
def test_the_gateways_fill_their_pods_so_that_none_is_without(values: tuple[str, ...]) -> None:
    config, gateway = typed(ray_service(*values)), groups(*values)["gateway"]
    options = gateway_options(config.gateway)
    assert options["label_selector"].items() <= gateway["labels"].items()
    pods = gateway["maxReplicas"]
    assert gateway["minReplicas"] == gateway["replicas"] == pods
    assert pods * int(gateway["rayStartParams"]["num-cpus"]) == config.gateway.replicas * options["num_cpus"]


def test_several_gateways_may_share_a_pod() -> None:
    group = groups(config__gateway__replicas="4", config__gateway__cpus="0.5")["gateway"]
    assert (group["replicas"], group["rayStartParams"]["num-cpus"]) == (2, "1")


@every_shape
def test_each_pool_has_a_group_that_offers_what_it_asks_for(values: tuple[str, ...]) -> None:
    config, offered = typed(ray_service(*values)), groups(*values)
    for pool in (pool for model in config.models for pool in model.pools):
        [group] = [
            group
            for group in offered.values()
            if group["labels"].get("ray.io/accelerator-type") == pool.accelerator.type
            and group["labels"]["dllm/role"] == pool.accelerator.labels["dllm/role"]
        ]
        assert int(group["rayStartParams"]["num-cpus"]) >= pool.cpus
        assert int(group["rayStartParams"].get("num-gpus", "0")) >= pool.gpus
        per_pod = int(group["rayStartParams"].get("num-gpus", "0")) // pool.gpus if pool.gpus else 4
        assert group["maxReplicas"] * per_pod >= (pool.max_replicas or pool.replicas)


def test_a_group_of_gpus_is_found_by_type_label_and_device() -> None:
    group = groups("mixed")["h100"]
    assert group["labels"] == {
        "dllm/role": "worker",
        "dllm/pool": "h100",
        "ray.io/accelerator-type": "H100",
        "tier": "large",
    }
    assert group["rayStartParams"]["num-gpus"] == "1"
    assert json.loads(group["rayStartParams"]["resources"].strip("'")) == {"accelerator_type:H100": 1}
    spec = group["template"]["spec"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    resources = container(group["template"])["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == 1
    assert (group["minReplicas"], group["maxReplicas"], group["idleTimeoutSeconds"]) == (1, 4, 900)


def test_a_slice_of_a_gpu_is_one_gpu_to_ray() -> None:
    group = groups("h100", workers__h100__gpuResource='"nvidia.com/mig-1g.10gb"')["h100"]
    assert group["rayStartParams"]["num-gpus"] == "1"
    assert container(group["template"])["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 1


@pytest.mark.parametrize(("cpu", "counted"), [("500m", "1"), ("2500m", "3"), ("2", "2"), ("7.5", "8")])
def test_ray_counts_processors_as_kuberay_would(cpu: str, counted: str) -> None:
    resources = json.dumps({"requests": {"cpu": "100m", "memory": "4Gi"}, "limits": {"cpu": cpu, "memory": "4Gi"}})
    assert groups("laptop", workers__cpu__resources=resources)["cpu"]["rayStartParams"]["num-cpus"] == counted


@every_shape
def test_ray_asks_for_a_token_and_scales_by_its_second_autoscaler(values: tuple[str, ...]) -> None:
    ray = cluster(*values)
    assert ray["authOptions"] == {"mode": "token"}
    assert ray["enableInTreeAutoscaling"] is True
    assert ray["autoscalerOptions"]["version"] == "v2"


def test_without_the_autoscaler_nothing_of_it_is_left() -> None:
    ray = cluster("h100", ray__autoscaler="false")
    assert ray["enableInTreeAutoscaling"] is False
    assert "autoscalerOptions" not in ray
    spec = ray["headGroupSpec"]["template"]["spec"]
    assert "api-access" not in [volume["name"] for volume in spec["volumes"]]
    assert spec["serviceAccountName"] == "release-dllm-cluster"


@every_shape
def test_the_token_for_kubernetes_is_the_autoscalers_alone(values: tuple[str, ...]) -> None:
    service = ray_service(*values)
    for group, template in ray_pods(service).items():
        spec = template["spec"]
        projected = [volume["name"] for volume in spec["volumes"] if "projected" in volume]
        assert spec["automountServiceAccountToken"] is False
        assert projected == (["api-access"] if group == "head" else [])
        assert not set(projected) & {mount["name"] for mount in container(template)["volumeMounts"]}
    mounts = service["spec"]["rayClusterConfig"]["autoscalerOptions"]["volumeMounts"]
    assert {"api-access", "tmp"} == {mount["name"] for mount in mounts}


def test_the_bounds_that_were_declared_are_told_beside_those_that_are_in_force() -> None:
    declared = json.loads(ray_service("mixed")["metadata"]["annotations"]["dllm/declared-bounds"])
    assert declared == {"h100": {"min": 1, "max": 4}, "l40s": {"min": 1, "max": 6}}


@every_shape
def test_the_head_keeps_what_it_knows_on_a_server_that_is_not_the_states(values: tuple[str, ...]) -> None:
    service = ray_service(*values)
    kept = service["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert kept["redisAddress"].removeprefix("rediss://") not in typed(service).state.url
    assert set(kept["redisPassword"]["valueFrom"]) == {"secretKeyRef"}


def test_the_head_can_do_without_that_server() -> None:
    assert "gcsFaultToleranceOptions" not in cluster(gcs__faultTolerance="false")


@every_shape
def test_probes_need_no_program_in_the_image(values: tuple[str, ...]) -> None:
    for group, template in ray_pods(ray_service(*values)).items():
        probes = {name: probe for name, probe in container(template).items() if name.endswith("Probe")}
        assert {"livenessProbe", "readinessProbe"} <= probes.keys(), group
        assert not any("exec" in probe for probe in probes.values()), group


def test_a_gateway_starts_when_a_model_answers_and_is_ready_while_its_proxy_takes_requests() -> None:
    gateway = container(ray_pods(ray_service())["gateway"])
    assert gateway["startupProbe"]["httpGet"] == {"path": "/health/ready", "port": 8000}
    assert gateway["startupProbe"]["periodSeconds"] * gateway["startupProbe"]["failureThreshold"] == 3600
    assert gateway["readinessProbe"]["httpGet"] == {"path": "/-/healthz", "port": 8000}
    assert container(ray_pods(ray_service("mixed"))["gateway"])["readinessProbe"]["grpc"] == {"port": 9000}


def test_an_upgrade_can_move_the_load_step_by_step() -> None:
    assert ray_service()["spec"]["upgradeStrategy"] == {"type": "NewCluster"}
    assert ray_service("ha")["spec"]["upgradeStrategy"] == {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {
            "gatewayClassName": "istio",
            "maxSurgePercent": 25,
            "stepSizePercent": 25,
            "intervalSeconds": 30,
        },
    }


@every_shape
def test_every_file_that_the_configuration_names_is_mounted(values: tuple[str, ...]) -> None:
    service = ray_service(*values)
    config = typed(service)
    url, _, query = config.state.url.partition("?")
    named = [part.partition("=")[2] for part in query.split("&") if part]
    named += [path for path in (config.admin.key_file, config.tenancy_file) if path]
    assert "@" in url
    assert named
    for template in ray_pods(service).values():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        files = {
            f"{mount['mountPath']}/{item['path']}"
            for mount in container(template)["volumeMounts"]
            for item in volumes[mount["name"]].get("secret", {}).get("items", ())
        }
        assert set(named) <= files


def test_a_replica_finds_its_device_in_a_dcgm_exporters_figures_by_the_name_of_its_node() -> None:
    [variable] = [each for each in container(ray_pods(ray_service())["cpu"])["env"] if each["name"] == "NODE_NAME"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_an_upgrade_of_the_chart_alone_does_not_change_a_pod() -> None:
    """Anything of the pods' templates that changes has KubeRay make a new cluster."""
    text = json.dumps(cluster())
    assert "helm.sh/chart" not in text
    assert "app.kubernetes.io/version" not in text


def test_the_release_has_secrets_that_nobody_chose() -> None:
    first = pick(render(), "Secret", "admin")["data"]["key"]
    assert first != pick(render(release="release"), "Secret", "valkey")["data"]["state-password"]
    assert len(first) >= 64
