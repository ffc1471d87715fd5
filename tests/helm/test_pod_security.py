from __future__ import annotations

import base64
import json
import re
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tests.helm.chart import VALUES, Object, every, pick, pod_templates, render
from tests.helm.documents import CHART
from tests.helm.edges import COMPONENT
from tests.helm.pod_security import containers, looseness, violations

EVERYTHING = {
    "capacity__enabled": "true",
    "collector__enabled": "true",
    "weights__objectStore__source": '"store:models"',
    "weights__objectStore__existingSecret": '"store"',
}
"""What the values files leave out, in the default values."""

SECRET_NAME = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET|HEADER|CREDENTIAL)S?$")
shapes = pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")


def pods(*values: str, **sets: str) -> list[tuple[str, Object]]:
    """The specification of every pod, and of the autoscaler that KubeRay puts beside the head."""
    objects = render(*values, **sets)
    found = [(name, template["spec"]) for name, template in pod_templates(objects)]
    cluster = pick(objects, "RayService")["spec"]["rayClusterConfig"]
    if cluster["enableInTreeAutoscaling"]:
        [(_, head)] = [(name, spec) for name, spec in found if name.endswith("/head")]
        options = cluster["autoscalerOptions"]
        beside = {key: options[key] for key in ("securityContext", "resources")}
        image = options.get("image", head["containers"][0]["image"])
        found.append(("autoscaler", head | {"containers": [beside | {"name": "autoscaler", "image": image}]}))
    return found


@shapes
def test_every_pod_is_restricted(values: tuple[str, ...]) -> None:
    found = pods(*values) + (pods(**EVERYTHING) if values == () else [])
    assert {name: list(violations(spec)) for name, spec in found} == {name: [] for name, _ in found}


@shapes
def test_every_container_is_pinned_bounded_and_cannot_write_to_its_root(values: tuple[str, ...]) -> None:
    found = pods(*values) + (pods(**EVERYTHING) if values == () else [])
    assert {name: list(looseness(spec)) for name, spec in found} == {name: [] for name, _ in found}


def test_a_digest_goes_before_a_tag_and_each_image_is_of_the_values() -> None:
    digest = "sha256:" + "ab" * 32
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = {"image": values["image"], "valkey.image": values["valkey"]["image"]}
    named["collector.image"] = values["collector"]["image"]
    named["weights.objectStore.image"] = values["weights"]["objectStore"]["image"]
    sets = {f"{path.replace('.', '__')}__digest": json.dumps(digest) for path in named}
    images = {container["image"] for _, spec in pods(**EVERYTHING, **sets) for container in containers(spec)}
    assert images == {f"{image['repository']}@{digest}" for image in named.values()}


@shapes
def test_secrets_are_in_secrets_only(values: tuple[str, ...]) -> None:
    objects = render(*values, **(EVERYTHING if values == () else {}))
    literals = [
        base64.b64decode(value).decode() if kind == "data" else value
        for secret in every(objects, "Secret")
        for kind in ("data", "stringData")
        for value in secret.get(kind, {}).values()
    ]
    others = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert [literal for literal in literals if literal in others] == []
    for name, spec in pods(*values):
        variables = [variable for container in containers(spec) for variable in container.get("env", [])]
        secret = [variable for variable in variables if SECRET_NAME.search(variable["name"])]
        assert all(variable["valueFrom"].keys() == {"secretKeyRef"} for variable in secret), name


def test_a_token_is_given_to_what_calls_the_api_server_and_to_nothing_else() -> None:
    def with_token(**sets: str) -> set[str]:
        templates = (template for _, template in pod_templates(render(**sets)))
        spoken = [template for template in templates if template["spec"]["automountServiceAccountToken"]]
        return {template["metadata"]["labels"][COMPONENT] for template in spoken}

    without = {"ray__autoscaler": "false", "workers__cpu__maxReplicas": "1"}
    assert with_token(**EVERYTHING | {"capacity__enabled": "false"} | without) == set()
    assert "capacity" in with_token(**EVERYTHING)
    assert with_token(**EVERYTHING) <= {"capacity", "head"}


RESTRICTED: Object = {
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "tmp", "emptyDir": {}}],
    "containers": [
        {
            "name": "one",
            "image": "repository/one:1.2",
            "resources": {"requests": {"cpu": 1, "memory": 1}, "limits": {"cpu": 1, "memory": 1}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}


def changed(*path: Any, value: Any) -> Object:
    pod = deepcopy(RESTRICTED)
    place: Any = pod
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return pod


@pytest.mark.parametrize(
    "pod",
    [
        changed("hostNetwork", value=True),
        changed("volumes", 0, "hostPath", value={"path": "/"}),
        changed("securityContext", "runAsNonRoot", value=False),
        changed("securityContext", "runAsUser", value=0),
        changed("securityContext", "seccompProfile", value={"type": "Unconfined"}),
        changed("securityContext", "sysctls", value=[{"name": "kernel.msgmax", "value": "1"}]),
        changed("containers", 0, "securityContext", "privileged", value=True),
        changed("containers", 0, "securityContext", "allowPrivilegeEscalation", value=True),
        changed("containers", 0, "securityContext", "capabilities", value={"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        changed("containers", 0, "securityContext", "capabilities", value={}),
        changed("containers", 0, "securityContext", "procMount", value="Unmasked"),
        changed("containers", 0, "ports", value=[{"containerPort": 1, "hostPort": 1}]),
    ],
)
def test_the_checker_finds_what_is_not_restricted(pod: Object) -> None:
    assert list(violations(RESTRICTED)) == list(looseness(RESTRICTED)) == []
    assert len(list(violations(pod))) == 1


@pytest.mark.parametrize("image", ["one", "one:latest", "repository/one:latest", "one@sha256:12"])
def test_the_checker_finds_an_image_that_is_not_pinned(image: str) -> None:
    assert len(list(looseness(changed("containers", 0, "image", value=image)))) == 1
