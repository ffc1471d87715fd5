"""The RayService of a release, and the configuration that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.objects import Object, labels_of, name_of, part
from cluster.kubernetes.ray_service import MalformedService, RayService
from cluster.kubernetes.resources import RAY_CLUSTERS, RAY_SERVICES
from deployments.config import ClusterConfig

INSTANCE_LABEL = "app.kubernetes.io/instance"
"""The release that an object belongs to."""


class NoService(Exception):
    """There is no RayService that is meant, or more than one."""


def find_service(kubernetes: Kubernetes, namespace: str, release: str | None) -> Object:
    """The RayService of the release, or the only one of the namespace. Raises :class:`NoService`."""
    labels = None if release is None else f"{INSTANCE_LABEL}={release}"
    found = kubernetes.list(Selection(RAY_SERVICES, namespace, labels)).items
    if len(found) > 1:
        names = ", ".join(sorted(name_of(each) for each in found))
        raise NoService(f"the namespace {namespace} has several RayServices ({names}): say which by --release")
    if not found:
        raise NoService(f"no RayService {f'of the release {release} ' if release else ''}in the namespace {namespace}")
    return found[0]


def application_of(service: RayService) -> Mapping[str, Any]:
    """The application that the service deploys. Raises :class:`MalformedService`."""
    match service.document.get("applications"):
        case [{"args": Mapping()} as application]:
            return dict(application)
    raise MalformedService(f"{service.name}: serveConfigV2 has to hold one application with args")


def running_config(service: RayService) -> ClusterConfig:
    """The configuration that the service was given. Raises :class:`MalformedService`."""
    try:
        return ClusterConfig.model_validate(application_of(service)["args"])
    except ValidationError as error:
        raise MalformedService(f"{service.name}: its configuration is of another version: {error}") from error


def release_of(value: Object) -> str:
    """The release that a RayService belongs to. Raises :class:`MalformedService`."""
    release = labels_of(value).get(INSTANCE_LABEL)
    if release is None:
        raise MalformedService(f"{name_of(value)}: the label {INSTANCE_LABEL} is missing; the chart sets it")
    return release


def desired_pods(kubernetes: Kubernetes, namespace: str, cluster: str) -> dict[str, int]:
    """By worker group, how many pods the autoscaler wants; nothing for a Ray cluster that is gone."""
    found = kubernetes.list(Selection(RAY_CLUSTERS, namespace, fields=f"metadata.name={cluster}")).items
    groups = part(found[0], "spec").get("workerGroupSpecs") or () if found else ()
    return {group["groupName"]: group.get("replicas") or 0 for group in groups}
