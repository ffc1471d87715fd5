"""The state of a release on Kubernetes, in one view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.objects import Object, name_of, part
from cluster.kubernetes.pending import Explanation, about, explain, not_created
from cluster.kubernetes.pods import HEAD_GROUP, Pod, pod_of
from cluster.kubernetes.ray_service import (
    READY,
    Application,
    Condition,
    RayService,
    ServedCluster,
    ray_service_of,
)
from cluster.kubernetes.resources import EVENTS
from cluster.kubernetes.services import desired_pods, find_service
from cluster.kubernetes.settle import pod_objects_of


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group: the bounds of the autoscaler, what it wants (``None``: not known), and the pods that there are."""

    name: str
    least: int
    most: int
    desired: int | None
    pods: int
    ready: int


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """A release. It ``serves`` when requests can be answered, and is ``settled`` when nothing is left to be done."""

    name: str
    namespace: str
    serves: bool
    settled: bool
    summary: str
    conditions: tuple[Condition, ...]
    active: str | None
    pending: str | None
    applications: tuple[Application, ...]
    groups: tuple[GroupStatus, ...]
    explanations: tuple[Explanation, ...]


def inquire(kubernetes: Kubernetes, namespace: str, release: str | None) -> ReleaseStatus:
    """Read all of it. Raises as :func:`find_service` and :func:`ray_service_of` do."""
    service = ray_service_of(find_service(kubernetes, namespace, release))
    pods = pod_objects_of(kubernetes, service)
    events = kubernetes.list(Selection(EVENTS, namespace, fields="type=Warning")).items
    clusters = [each for each in (service.active, service.pending) if each is not None]
    desired = desired_pods(kubernetes, namespace, clusters[0].name) if clusters else {}
    about_ours = [
        event for event in events if part(event, "involvedObject").get("name") in {each.name for each in clusters}
    ]
    return ReleaseStatus(
        name=service.name,
        namespace=service.namespace,
        serves=serves(service),
        settled=is_settled(service),
        summary=summary(service),
        conditions=service.conditions,
        active=None if service.active is None else service.active.name,
        pending=None if service.pending is None else service.pending.name,
        applications=() if not clusters else clusters[0].applications,
        groups=_groups(service, [pod_of(each) for each in pods], desired),
        explanations=(*_explanations(pods, events), *not_created(about_ours)),
    )


def serves(service: RayService) -> bool:
    """Whether requests can be answered."""
    found = service.condition(READY)
    return found is not None and found.is_true is True


def is_settled(service: RayService) -> bool:
    """Whether the service runs what was asked of it last, all of it well, and no cluster is to take over."""
    return summary(service) == "it serves, and nothing is left to be done"


def summary(service: RayService) -> str:
    """What is foremost to be said, in words."""
    ready = service.condition(READY)
    if service.is_suspended:
        return "it is suspended"
    if not service.is_observed:
        return "KubeRay has not seen the last change yet"
    if service.is_upgrading:
        return _upgrade(service)
    if ready is None or not ready.is_true:
        why = "" if ready is None else ready.message or ready.reason
        return f"it does not serve{f': {why}' if why else ' yet'}"
    unwell = _unwell(service.active)
    if unwell is not None:
        return unwell
    return "it serves, and nothing is left to be done"


def _upgrade(service: RayService) -> str:
    if service.pending is None or service.pending.traffic_percent is None:
        return "an upgrade is in progress: another Ray cluster is about to take over"
    return f"an upgrade is in progress: {service.pending.traffic_percent} % of the requests go to the new Ray cluster"


def _unwell(cluster: ServedCluster | None) -> str | None:
    """The first of the cluster's parts that is not well; without any application, that."""
    if cluster is None or not cluster.applications:
        return "Serve has not told of an application yet"
    for application in cluster.applications:
        for each in (*application.deployments, application):
            if not each.is_well:
                kind = "application" if each is application else "deployment"
                told = f": {each.message.strip().splitlines()[-1]}" if each.message.strip() else ""
                return f"the {kind} {each.name} is {each.status}{told}"
    return None


def _explanations(pods: Sequence[Object], events: Sequence[Object]) -> tuple[Explanation, ...]:
    explained = ((pod, explain(pod, about(pod, events))) for pod in pods)
    return tuple(Explanation(name_of(pod), pod_of(pod).group, reasons) for pod, reasons in explained if reasons)


def _groups(service: RayService, pods: Sequence[Pod], desired: Mapping[str, int]) -> tuple[GroupStatus, ...]:
    alive = Counter(pod.group for pod in pods if pod.is_alive)
    ready = Counter(pod.group for pod in pods if pod.is_alive and pod.is_ready)
    head = GroupStatus("head", 1, 1, 1, alive[HEAD_GROUP], ready[HEAD_GROUP])
    workers = (
        GroupStatus(group.name, group.least, group.most, desired.get(group.name), alive[group.name], ready[group.name])
        for group in service.groups
    )
    return (head, *workers)
