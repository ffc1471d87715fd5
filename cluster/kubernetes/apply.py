"""A running configuration replaced in place: what may be, what may not, and the patch that does it.

The document of Serve gets other ``args``, and nothing else of the RayService changes, so no pod is replaced by another.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from cluster.environment import node_environment
from cluster.kubernetes.demand import demands
from cluster.kubernetes.ray_service import RayService, WorkerGroup
from cluster.kubernetes.services import application_of, running_config
from deployments.config import ClusterConfig
from deployments.telemetry.config import TRACES_ENVIRONMENT

SERVE_CONFIG = "/spec/serveConfigV2"

KEYS_OF_VARIABLES = {
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": "http.max_body_bytes",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": "http.max_body_bytes",
    TRACES_ENVIRONMENT: "telemetry.traces",
}
"""The key behind a variable of the pods; that of the others is ``ray.serving``."""

KEYS_OF_OPTIONS = {"http_options": "http.host and http.port", "grpc_options": "grpc.port and grpc.reflection"}


@dataclass(frozen=True, slots=True)
class Change:
    """What applying a configuration would do: the new document as ``text``, the ``difference`` of the two
    configurations for a person, or why it is refused. Nothing is to be done where the difference is empty.
    """

    text: str
    difference: str
    refusals: tuple[str, ...]


def change(service: RayService, wanted: ClusterConfig, document: Mapping[str, Any]) -> Change:
    """From what runs to ``wanted``, whose document for Serve is ``document``.

    Raises :class:`~cluster.kubernetes.ray_service.MalformedService`.
    """
    running = running_config(service)
    application = application_of(service)
    args = document["applications"][0]["args"]
    text = yaml.safe_dump(
        {**service.document, "applications": [{**application, "args": args}]}, sort_keys=False, allow_unicode=True
    )
    refusals = (*_fixed(service, running, wanted, document), *_homeless(service.groups, wanted))
    return Change(text, _difference(running, wanted), refusals)


def apply_patch(service: RayService, text: str) -> Sequence[Mapping[str, Any]]:
    """The operations that replace the document that was looked at, and none that came since."""
    return [
        {"op": "test", "path": SERVE_CONFIG, "value": service.text},
        {"op": "replace", "path": SERVE_CONFIG, "value": text},
    ]


def _fixed(
    service: RayService, running: ClusterConfig, wanted: ClusterConfig, document: Mapping[str, Any]
) -> Iterator[str]:
    """What pods or proxies were started with, and would not see changed."""
    if running.name != wanted.name:
        yield f"name: {running.name} would be removed and {wanted.name} deployed; install another release"
    if running.admin.port != wanted.admin.port:
        yield "admin.port: services and policies name it; run helm upgrade"
    before, after = node_environment(running), node_environment(wanted)
    variables = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    for key in sorted({KEYS_OF_VARIABLES.get(name, "ray.serving") for name in variables}):
        yield f"{key}: it is in the environment of the pods; run helm upgrade, which starts a new Ray cluster"
    for option, keys in KEYS_OF_OPTIONS.items():
        if service.document.get(option) != document.get(option):
            yield f"{keys}: Serve's proxies keep what they were started with; run helm upgrade"


def _homeless(groups: Sequence[WorkerGroup], wanted: ClusterConfig) -> Iterator[str]:
    """Pools that the worker groups cannot hold. Each is looked at by itself."""
    for pool in demands(wanted):
        slots = {group.name: pool.slots(group) for group in groups if pool.slots(group)}
        room = sum(slots[group.name] * group.most for group in groups if group.name in slots)
        if not slots:
            yield f"pool {pool.pool}: no worker group has what it asks for; add one to workers and run helm upgrade"
        elif pool.least > room:
            names = ", ".join(slots)
            yield f"pool {pool.pool}: {pool.least} replicas, and {names} hold {room}; raise maxReplicas by helm upgrade"


def _difference(running: ClusterConfig, wanted: ClusterConfig) -> str:
    before, after = (_lines(config) for config in (running, wanted))
    return "\n".join(difflib.unified_diff(before, after, "running", "wanted", lineterm=""))


def _lines(config: ClusterConfig) -> list[str]:
    tree = config.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(tree, sort_keys=True, allow_unicode=True).splitlines()
