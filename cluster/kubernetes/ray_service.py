"""A RayService of KubeRay: what is asked of it, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

import yaml

from cluster.kubernetes.accelerators import devices_of
from cluster.kubernetes.objects import Object, name_of, part, quantity

READY, UPGRADING = "Ready", "UpgradeInProgress"
WELL = ("RUNNING", "HEALTHY")
"""What Serve says of an application and of a deployment with nothing left to do."""


class MalformedService(ValueError):
    """The RayService is none of this project's: it lacks what every one of them has."""


@dataclass(frozen=True, slots=True)
class Toleration:
    """Which taints pods of a group put up with; an empty ``key`` means every one, an empty ``effect`` each kind."""

    key: str
    value: str | None
    effect: str

    def covers(self, key: str, value: str, effect: str) -> bool:
        """Whether a taint like this keeps no such pod away."""
        return self.key in ("", key) and self.value in (None, value) and self.effect in ("", effect)


@dataclass(frozen=True, slots=True)
class WorkerGroup:
    """A worker group. A pod of it has the ``devices`` of ``resource`` (none: ``None``), asks for the ``requests``, has
    the ``limits``, and is a node of Ray with ``labels`` and ``cpus``. How many there are is the autoscaler's affair.
    """

    name: str
    least: int
    most: int
    hosts: int
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]
    requests: Mapping[str, Decimal]
    limits: Mapping[str, Decimal]
    cpus: int
    resource: str | None
    priority_class: str | None = None

    @property
    def devices(self) -> int:
        """The accelerators of a pod."""
        return 0 if self.resource is None else int(self.limits[self.resource])


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the service; ``is_true`` is ``None`` where the operator does not know."""

    kind: str
    is_true: bool | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Part:
    """An application or deployment of Serve, and what Serve says of it."""

    name: str
    status: str
    message: str

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.status in WELL


@dataclass(frozen=True, slots=True)
class Application(Part):
    """An application and its deployments."""

    deployments: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ServedCluster:
    """The Ray cluster that serves (``active``), or that is about to."""

    name: str
    applications: tuple[Application, ...]
    traffic_percent: int | None


@dataclass(frozen=True, slots=True)
class RayService:
    """A RayService. ``document`` is ``serveConfigV2``, read; ``text`` as it stands.

    The status is of the spec only where ``is_observed``; bounds of groups mean something where it ``autoscales``.
    """

    name: str
    namespace: str
    resource_version: str
    annotations: Mapping[str, str]
    is_observed: bool
    is_suspended: bool
    autoscales: bool
    text: str
    document: Mapping[str, Any]
    groups: tuple[WorkerGroup, ...]
    conditions: tuple[Condition, ...]
    active: ServedCluster | None
    pending: ServedCluster | None
    endpoints: int

    def condition(self, kind: str) -> Condition | None:
        """The condition of that kind, if the operator has set it."""
        return next((each for each in self.conditions if each.kind == kind), None)

    @property
    def is_upgrading(self) -> bool:
        """Whether a second Ray cluster is to take over from one that serves."""
        found = self.condition(UPGRADING)
        both = self.active is not None and self.pending is not None
        return both or (found is not None and found.is_true is True)


def ray_service_of(value: Object) -> RayService:
    """A RayService as the API gives it. Raises :class:`MalformedService`."""
    spec, status, metadata = part(value, "spec"), part(value, "status"), part(value, "metadata")
    text = spec.get("serveConfigV2") or ""
    groups = part(spec, "rayClusterConfig").get("workerGroupSpecs") or ()
    try:
        document = yaml.safe_load(text)
        read = tuple(worker_group_of(each) for each in groups)
    except (yaml.YAMLError, ValueError, KeyError) as error:
        raise MalformedService(f"{name_of(value)}: {error}") from error
    if not isinstance(document, Mapping):
        raise MalformedService(f"{name_of(value)}: serveConfigV2 is no mapping")
    return RayService(
        name=name_of(value),
        namespace=metadata.get("namespace", ""),
        resource_version=metadata.get("resourceVersion", ""),
        annotations=part(metadata, "annotations"),
        is_observed=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        is_suspended=bool(spec.get("suspend")),
        autoscales=bool(part(spec, "rayClusterConfig").get("enableInTreeAutoscaling")),
        text=text,
        document=document,
        groups=read,
        conditions=tuple(_condition(each) for each in status.get("conditions") or ()),
        active=_served(part(status, "activeServiceStatus")),
        pending=_served(part(status, "pendingServiceStatus")),
        endpoints=status.get("numServeEndpoints") or 0,
    )


def worker_group_of(value: Object) -> WorkerGroup:
    """A member of ``workerGroupSpecs``. Raises ``ValueError`` and ``KeyError``."""
    pod = part(value, "template", "spec")
    containers: Sequence[Object] = pod.get("containers") or ({},)
    resources = part(containers[0], "resources")
    limits = _amounts(part(resources, "limits"))
    # What has a limit and no request is requested as much as it is limited to.
    requests = {**limits, **_amounts(part(resources, "requests"))}
    return WorkerGroup(
        name=value["groupName"],
        least=value.get("minReplicas") or 0,
        most=value.get("maxReplicas") or 0,
        hosts=value.get("numOfHosts") or 1,
        labels=part(value, "labels"),
        selector=part(pod, "nodeSelector"),
        tolerations=tuple(_toleration(each) for each in pod.get("tolerations") or ()),
        requests=requests,
        limits=limits,
        cpus=_cpus(part(value, "rayStartParams").get("num-cpus"), limits.get("cpu", requests.get("cpu"))),
        resource=devices_of(limits),
        priority_class=pod.get("priorityClassName"),
    )


def _cpus(told: str | None, amount: Decimal | None) -> int:
    """What Ray counts: what it is told, else the pod's limit or request, rounded up."""
    return int(told) if told is not None else ceil(amount or 0)


def _amounts(given: Object) -> Mapping[str, Decimal]:
    return {name: quantity(amount) for name, amount in given.items()}


def _toleration(value: Object) -> Toleration:
    any_value = value.get("operator") == "Exists"
    return Toleration(
        value.get("key") or "", None if any_value else value.get("value") or "", value.get("effect") or ""
    )


def _condition(value: Object) -> Condition:
    known = {"True": True, "False": False}
    return Condition(
        value.get("type", ""),
        known.get(value.get("status", "")),
        value.get("reason") or "",
        value.get("message") or "",
    )


def _served(value: Object) -> ServedCluster | None:
    """A cluster that has no name yet is none."""
    if not value.get("rayClusterName"):
        return None
    applications = part(value, "applicationStatuses")
    return ServedCluster(
        value["rayClusterName"],
        tuple(_application(name, each) for name, each in sorted(applications.items())),
        value.get("trafficRoutedPercent"),
    )


def _application(name: str, value: Object) -> Application:
    deployments = part(value, "serveDeploymentStatuses")
    return Application(
        name,
        value.get("status") or "",
        value.get("message") or "",
        tuple(
            Part(each, state.get("status") or "", state.get("message") or "")
            for each, state in sorted(deployments.items())
        ),
    )
