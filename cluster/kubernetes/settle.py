"""The bounds of a release's worker groups brought to what its pools, nodes and quotas ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster.kubernetes.bounds_patch import bounds_patch
from cluster.kubernetes.capacity import Plan, plan
from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.declared import declared_bounds
from cluster.kubernetes.demand import demands
from cluster.kubernetes.errors import Changed
from cluster.kubernetes.node_pools import node_of
from cluster.kubernetes.objects import Object, name_of
from cluster.kubernetes.pods import CLUSTER_LABEL, Pod, pod_of
from cluster.kubernetes.quotas import quota_of
from cluster.kubernetes.ray_service import RayService, ray_service_of
from cluster.kubernetes.resources import NODES, PODS, RAY_SERVICES, RESOURCE_QUOTAS
from cluster.kubernetes.room import Surroundings
from cluster.kubernetes.services import find_service, running_config
from cluster.kubernetes.shortage import Shortage

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of a look: the plan (``None`` while it is put off, as ``held`` says), whether the service differs from
    it, whether it was patched, and what is known of shortages.
    """

    service: str
    plan: Plan | None
    held: str | None
    differs: bool
    patched: bool
    shortage: Shortage


def settle(
    kubernetes: Kubernetes,
    namespace: str,
    release: str | None,
    shortage: Shortage,
    now: float,
    *,
    elastic: bool,
    may_write: Callable[[], bool],
) -> Settlement:
    """Look once, and patch if ``may_write`` then says so. With ``elastic`` more nodes can be had than there are.

    A service that changes meanwhile is read and planned for again, up to :data:`ATTEMPTS` times; then
    :class:`Changed` is raised.
    """
    value = find_service(kubernetes, namespace, release)
    for attempt in range(1, ATTEMPTS + 1):
        service = ray_service_of(value)
        held = _held(service)
        if held is not None:
            return Settlement(service.name, None, held, differs=False, patched=False, shortage=shortage)
        around, shortage = _surroundings(kubernetes, service, shortage, now, elastic)
        found = plan(service.groups, declared_bounds(service), demands(running_config(service)), around)
        operations = bounds_patch(value, found.bounds)
        try:
            writes = bool(operations) and may_write()
            if writes:
                kubernetes.patch(RAY_SERVICES, namespace, service.name, operations)
            return Settlement(service.name, found, None, bool(operations), writes, shortage)
        except Changed:
            again = kubernetes.get(RAY_SERVICES, namespace, name_of(value))
            if attempt == ATTEMPTS or ray_service_of(again).resource_version == service.resource_version:
                raise
            value = again
    raise AssertionError("the last attempt returns or raises")


def _held(service: RayService) -> str | None:
    if service.is_suspended:
        return "the service is suspended"
    if not service.autoscales:
        return "the autoscaler of Ray is off, so no bounds are kept to"
    if service.is_upgrading:
        return "an upgrade is in progress, in which two Ray clusters share what there is"
    return None


def _surroundings(
    kubernetes: Kubernetes, service: RayService, shortage: Shortage, now: float, elastic: bool
) -> tuple[Surroundings, Shortage]:
    pods = pods_of(kubernetes, service)
    shortage = shortage.after(pods, now)
    nodes = None if elastic else tuple(node_of(each) for each in kubernetes.list(Selection(NODES)).items)
    quotas = kubernetes.list(Selection(RESOURCE_QUOTAS, service.namespace)).items
    return Surroundings(nodes, tuple(map(quota_of, quotas)), pods, shortage.groups), shortage


def pods_of(kubernetes: Kubernetes, service: RayService) -> tuple[Pod, ...]:
    """The pods of the Ray cluster that serves, or of the one that is about to."""
    return tuple(map(pod_of, pod_objects_of(kubernetes, service)))


def pod_objects_of(kubernetes: Kubernetes, service: RayService) -> tuple[Object, ...]:
    """As :func:`pods_of`, as the API gives them."""
    cluster = service.active or service.pending
    if cluster is None:
        return ()
    return kubernetes.list(Selection(PODS, service.namespace, f"{CLUSTER_LABEL}={cluster.name}")).items
