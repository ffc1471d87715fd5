"""Releases by the real helm and kubectl, on an API server over HTTP: installed, upgraded, rolled back, removed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kubernetes.api_server import ApiServer, api_server
from tests.cluster.kubernetes.api_server.resources import permissive_resource
from tests.helm.chart import HELM, KUBECTL, NAMESPACE, RELEASE, VALUES, Object, pick, render, values_file
from tests.helm.documents import CHART

KUBERAY = Path("/work/shared/kuberay")
CLIENT_SIDE = "--server-side=false"
HOOK = "helm.sh/hook"
ADMIN_SECRET = "release-dllm-cluster-admin"

Program = Callable[..., str]

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not KUBERAY.exists(), reason=f"{KUBERAY} is not there"),
]

shapes = pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values) or "default")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """A cluster with KubeRay's resources."""
    with api_server() as running:
        for definition in definitions():
            running.define(definition)
        yield running


@cache
def definitions() -> list[Object]:
    """KubeRay's, which take half a second to read."""
    return [yaml.load(file.read_text(), yaml.CSafeLoader) for file in sorted(KUBERAY.glob("*.yaml"))]


@pytest.fixture
def environment(server: ApiServer, tmp_path: Path) -> dict[str, str]:
    kubeconfig = server.kubeconfig(tmp_path / "kubeconfig", NAMESPACE)
    return {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}


@pytest.fixture
def helm(environment: dict[str, str]) -> Program:
    return lambda *arguments: _run(environment, str(HELM), *arguments)


@pytest.fixture
def kubectl(environment: dict[str, str]) -> Program:
    return lambda *arguments: _run(environment, str(KUBECTL), *arguments)


def _run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(helm: Program, *values: str, verb: str = "install", **sets: str) -> None:
    files = [f"--values={values_file(name)}" for name in values]
    given = [
        argument for path, value in sets.items() for argument in ("--set-json", f"{path.replace('__', '.')}={value}")
    ]
    making = ["--create-namespace"] if verb == "install" else []
    helm(verb, RELEASE, str(CHART), "--namespace", NAMESPACE, CLIENT_SIDE, *making, *files, *given)


def belonging(server: ApiServer, *values: str, **sets: str) -> list[Object]:
    """What the chart renders for a release but its hooks, of which the server takes every kind."""
    objects = [each for each in render(*values, **sets) if HOOK not in each["metadata"].get("annotations", {})]
    known = {(resource.api_version, resource.kind) for resource in server.registry.resources.values()}
    for api_version, kind in {(each["apiVersion"], each["kind"]) for each in objects} - known:
        group, _, version = api_version.rpartition("/")
        server.registry.serve(permissive_resource(group, version, f"{kind.lower()}s", kind))
    return objects


def stored(server: ApiServer, rendered: Object) -> Object:
    return server.read(rendered["kind"], rendered["metadata"]["name"], NAMESPACE)


def lost(rendered: Any, found: Any, path: str = "") -> Iterator[str]:
    """The paths at which a stored object does not say what was rendered."""
    if isinstance(rendered, dict) and isinstance(found, dict):
        for name, value in rendered.items():
            if value is not None:
                yield from lost(value, found.get(name), f"{path}.{name}")
    elif isinstance(rendered, list) and isinstance(found, list) and len(rendered) == len(found):
        for number, (value, other) in enumerate(zip(rendered, found, strict=True)):
            yield from lost(value, other, f"{path}[{number}]")
    elif rendered != found:
        yield path


@shapes
def test_every_object_of_a_release_is_taken_as_it_is_and_removed_with_it(
    server: ApiServer, helm: Program, values: tuple[str, ...]
) -> None:
    objects = belonging(server, *values)
    installed(helm, *values)
    for each in objects:
        if each["kind"] != "Secret":
            assert list(lost(each, stored(server, each))) == [], each["metadata"]["name"]
    assert json.loads(helm("status", RELEASE, "--namespace", NAMESPACE, "-o", "json"))["info"]["status"] == "deployed"
    helm("uninstall", RELEASE, "--namespace", NAMESPACE)
    left = {key for key in server.registry.store.objects if key.namespace == NAMESPACE}
    assert left == set()
    kinds = {each["kind"] for each in objects}
    assert [name for kind in kinds for name in server.names(kind) if name.startswith((RELEASE, NAMESPACE))] == (
        [NAMESPACE] if "Namespace" in kinds else []
    )


@shapes
def test_kubectl_finds_no_unknown_field_in_what_is_rendered(
    server: ApiServer, kubectl: Program, tmp_path: Path, values: tuple[str, ...]
) -> None:
    objects = belonging(server, *values)
    server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    assert kubectl("apply", CLIENT_SIDE, "--validate=strict", "-f", str(file)).count(" created\n") == len(objects)
    versions = server.registry.store.version
    kubectl("apply", CLIENT_SIDE, "--validate=strict", "-f", str(file))
    assert server.registry.store.version == versions


def test_an_upgrade_of_the_configuration_changes_the_document_of_serve_alone(server: ApiServer, helm: Program) -> None:
    objects = belonging(server, "laptop")
    installed(helm, "laptop")
    before = {each["metadata"]["name"]: stored(server, each) for each in objects if each["kind"] == "RayService"}
    [(name, service)] = before.items()
    others = {
        key: document["metadata"]["resourceVersion"]
        for key, document in server.registry.store.objects.items()
        if key.namespace == NAMESPACE and key.name != name and not key.name.startswith("sh.helm")
    }
    installed(helm, "laptop", verb="upgrade", config__http='{"max_body_bytes": 1048576}')
    after = server.read("RayService", name, NAMESPACE)
    assert after["metadata"]["uid"] == service["metadata"]["uid"]
    assert after["metadata"]["generation"] == 2
    assert "max_body_bytes: 1048576" in after["spec"]["serveConfigV2"]
    for key, version in others.items():
        assert server.registry.store.objects[key]["metadata"]["resourceVersion"] == version, key
    helm("rollback", RELEASE, "1", "--namespace", NAMESPACE, CLIENT_SIDE)
    assert server.read("RayService", name, NAMESPACE)["spec"] == service["spec"]


def test_secrets_that_the_chart_makes_stay_over_upgrades(server: ApiServer, helm: Program) -> None:
    belonging(server, "laptop")
    installed(helm, "laptop")
    names = [name for name in server.names("Secret", NAMESPACE) if not name.startswith("sh.helm")]
    before = {name: server.read("Secret", name, NAMESPACE)["data"] for name in names}
    assert ADMIN_SECRET in before
    installed(helm, "laptop", verb="upgrade")
    assert {name: server.read("Secret", name, NAMESPACE)["data"] for name in names} == before


def test_helm_test_runs_its_pod_and_reads_how_it_ended(server: ApiServer, helm: Program) -> None:
    belonging(server, "laptop")
    installed(helm, "laptop")
    name = pick(render("laptop"), "Pod")["metadata"]["name"]

    def be_kubelet(phase: str) -> threading.Thread:
        server.requests.clear()

        def run() -> None:
            # helm watches the end of the pod before, and then that of its own.
            server.requests.wait_for(lambda asked: (asked.verb, asked.resource) == ("watch", "pods"), count=2)
            server.put({**server.read("Pod", name, NAMESPACE), "status": {"phase": phase}}, NAMESPACE)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    thread = be_kubelet("Succeeded")
    assert "Phase:          Succeeded" in helm("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "20s")
    thread.join()
    thread = be_kubelet("Failed")
    with pytest.raises(AssertionError, match="failed"):
        helm("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "20s")
    thread.join()
