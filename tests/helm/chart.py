"""What the chart renders to, by the real helm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deployments.config import ClusterConfig
from tests.helm.documents import CHART, ROOT

HELM = ROOT / ".cache" / "helm"
KUBECTL = ROOT / ".cache" / "kubectl"
NAMES = ("laptop", "h100", "mixed", "ha")
"""The files in values/; the chart's own values.yaml is the empty one."""

VALUES: tuple[tuple[str, ...], ...] = ((), *((name,) for name in NAMES))
"""Each shape of the chart that is shipped, as arguments of :func:`render`."""

RELEASE, NAMESPACE = "release", "dllm"

Object = dict[str, Any]


class RenderError(Exception):
    """What helm says of a chart that it does not render."""


def helm(*arguments: str) -> str:
    """What helm prints. Raises :class:`RenderError`."""
    if not HELM.exists():
        raise FileNotFoundError(f"{HELM} is fetched by `make helm`")
    done = subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr.strip())
    return done.stdout


def values_file(name: str) -> Path:
    """``laptop`` is values/laptop.yaml; a path is itself."""
    return CHART / "values" / f"{name}.yaml" if name in NAMES else Path(name)


@cache
def rendered(*values: str, sets: tuple[tuple[str, str], ...] = (), release: str = RELEASE) -> str:
    """The objects as JSON, which is faster to read than YAML. ``sets`` are paths of values and their JSON."""
    files = [f"--values={values_file(name)}" for name in values]
    given = [argument for path, value in sets for argument in ("--set-json", f"{path}={value}")]
    text = helm("template", release, str(CHART), "--namespace", NAMESPACE, *files, *given)
    return json.dumps([document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None])


def render(*values: str, release: str = RELEASE, **sets: str) -> list[Object]:
    """The objects for values files, named as in :data:`NAMES` or by their paths.

    ``sets`` are further values as JSON; the dots of a path are written as two underscores, as in
    ``gateways__replicas="3"``. Raises :class:`RenderError` for what the chart refuses. Each call has its own objects.
    """
    paths = tuple((path.replace("__", "."), value) for path, value in sets.items())
    return json.loads(rendered(*values, sets=paths, release=release))  # type: ignore[no-any-return]


def pick(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The only object of ``kind``, or the one whose name is ``name`` or ends in it behind a dash."""
    found = [each for each in objects if each["kind"] == kind and _is_named(each, name)]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}: {[each['metadata']['name'] for each in objects]}"
    return found[0]


def every(objects: list[Object], kind: str) -> list[Object]:
    """All objects of ``kind``."""
    return [each for each in objects if each["kind"] == kind]


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every template of pods, with a name to tell it by; a bare Pod is one."""
    for each in objects:
        name, spec = f"{each['kind']}/{each['metadata']['name']}", each.get("spec", {})
        if each["kind"] == "Pod":
            yield name, each
        elif each["kind"] == "RayService":
            yield from ((f"{name}/{group}", template) for group, template in ray_pods(each).items())
        elif each["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]
        elif "template" in spec:
            yield name, spec["template"]


def ray_pods(ray_service: Object) -> dict[str, Object]:
    """The templates of Ray's pods by group; the head's is ``head``."""
    cluster = ray_service["spec"]["rayClusterConfig"]
    workers = {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    return {"head": cluster["headGroupSpec"]["template"], **workers}


def serve_document(ray_service: Object) -> Object:
    """What Ray Serve is told to deploy."""
    return yaml.load(ray_service["spec"]["serveConfigV2"], yaml.CSafeLoader)  # type: ignore[no-any-return]


def typed(ray_service: Object) -> ClusterConfig:
    """The configuration that the application gets."""
    [application] = serve_document(ray_service)["applications"]
    return ClusterConfig.model_validate(application["args"])


def _is_named(each: Object, name: str | None) -> bool:
    return name is None or each["metadata"]["name"] == name or each["metadata"]["name"].endswith(f"-{name}")
