from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

import kubernetes_validate
import pytest

from tests.helm.chart import VALUES, Object, pick, pod_templates, render
from tests.helm.documents import ROOT
from tests.helm.schemas import KUBERAY, OWN, faults

VERSIONS = ("1.30", "1.35")
"""The oldest that Chart.yaml takes, and a later one."""

MODELS = ROOT / ".cache" / "monitoring" / "bin" / "python"
READ_BY_MODELS = """
import json, sys
from cloudcoil.models.prometheus_operator import v1, v1alpha1
kinds = {"PodMonitor": v1.PodMonitor, "PrometheusRule": v1.PrometheusRule, "ScrapeConfig": v1alpha1.ScrapeConfig}
read = [kinds[each["kind"]].model_validate(each) for each in json.load(sys.stdin)]
print(json.dumps([each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in read]))
"""
"""A key that the models do not know is not there any more in what they have read."""

EVERYTHING = {
    "ingress__enabled": "true",
    "ingress__host": '"dllm.example.com"',
    "ingress__grpcHost": '"grpc.dllm.example.com"',
    "ingress__tls": '[{"secretName": "tls", "hosts": ["dllm.example.com", "grpc.dllm.example.com"]}]',
    "weights__objectStore__source": '"store:models"',
    "weights__objectStore__existingSecret": '"store"',
    "capacity__enabled": "true",
    "operator__subjects": '[{"kind": "Group", "name": "sre", "apiGroup": "rbac.authorization.k8s.io"}]',
    "networkPolicy__operators": '[{"ipBlock": {"cidr": "192.0.2.0/24"}}]',
}
CUSTOM = {"ray.io", "monitoring.coreos.com", "gateway.networking.k8s.io"}
shapes = pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")


def objects_of(values: tuple[str, ...]) -> list[Object]:
    return render(*values, **(EVERYTHING if values == () else {}))


def is_custom(each: Object) -> bool:
    return each["apiVersion"].partition("/")[0] in CUSTOM


def distinct(objects: Iterable[Object]) -> list[Object]:
    """The objects without those that are there before: the values files share many."""
    return [json.loads(text) for text in {json.dumps(each) for each in objects}]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(version: str) -> None:
    for each in distinct(each for values in VALUES for each in objects_of(values) if not is_custom(each)):
        kubernetes_validate.validate(each, version, strict=True)


def test_kubernetes_takes_every_pod_that_is_made_by_others() -> None:
    templates = [template for values in VALUES for _, template in pod_templates(objects_of(values))]
    for each in distinct(templates):
        pod = {"apiVersion": "v1", "kind": "Pod", **each, "metadata": {"name": "pod"} | each["metadata"]}
        kubernetes_validate.validate(pod, VERSIONS[0], strict=True)


@shapes
@pytest.mark.skipif(not KUBERAY.exists(), reason=f"{KUBERAY} is not there")
def test_the_definitions_of_kuberay_take_the_ray_service(values: tuple[str, ...]) -> None:
    assert faults(pick(objects_of(values), "RayService")) == []


@shapes
def test_every_other_custom_resource_has_known_keys_only(values: tuple[str, ...]) -> None:
    others = [each for each in objects_of(values) if is_custom(each) and each["kind"] != "RayService"]
    assert {each["kind"]: faults(each) for each in others} == {each["kind"]: [] for each in others}


def test_some_values_file_makes_each_kind_of_custom_resource() -> None:
    made = {each["kind"] for values in VALUES for each in render(*values) if is_custom(each)}
    assert made == {"RayService", *OWN}


@shapes
def test_names_are_short_and_no_two_objects_are_one(values: tuple[str, ...]) -> None:
    objects = objects_of(values)
    known = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(known) == len(set(known))
    assert all(len(name) <= 63 for _, name in known)


def misspelled(each: Any, *path: str) -> Any:
    """The object with a letter more in the last key of ``path``."""
    changed = json.loads(json.dumps(each))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[f"{path[-1]}z"] = holder.pop(path[-1])
    return changed


@pytest.mark.skipif(not KUBERAY.exists(), reason=f"{KUBERAY} is not there")
@pytest.mark.parametrize(
    "path",
    [
        ("spec", "serveConfigV2"),
        ("spec", "rayClusterConfig", "headGroupSpec", "rayStartParams"),
        ("spec", "rayClusterConfig", "autoscalerOptions", "idleTimeoutSeconds"),
        ("spec", "rayClusterConfig", "headGroupSpec", "template", "spec", "containers"),
    ],
)
def test_a_misspelled_key_of_a_ray_service_is_found(path: tuple[str, ...]) -> None:
    assert faults(misspelled(pick(render(), "RayService"), *path)) != []


@pytest.mark.full
@pytest.mark.skipif(not MODELS.exists(), reason="make monitoring fetches models of the Prometheus operator's objects")
def test_the_prometheus_operator_takes_its_objects() -> None:
    objects = [each for each in render("ha") if each["apiVersion"].startswith("monitoring.coreos.com/")]
    given = json.dumps(objects)
    read = subprocess.run([MODELS, "-c", READ_BY_MODELS], input=given, capture_output=True, text=True, check=True)
    assert {each["kind"] for each in objects} == {"PodMonitor", "PrometheusRule", "ScrapeConfig"}
    assert json.loads(read.stdout) == objects
