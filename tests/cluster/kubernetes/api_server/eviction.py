"""
Whether a pod may be evicted: what the disruption controller counts and the eviction subresource decides.

A budget in per cent, or one of pods that may be unavailable, needs the number of pods that are wanted, which the
controller reads from the ``scale`` subresource of the pods' owner. Pods whose owner has none are not evicted then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.cluster.kubernetes.api_server.resources import Document
from tests.cluster.kubernetes.api_server.selectors import object_clauses
from tests.cluster.kubernetes.api_server.status import ApiError

SCALED_KINDS = ("StatefulSet", "Deployment", "ReplicaSet", "ReplicationController")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a PodDisruptionBudget says of the pods that it selects; ``desired`` is None where it cannot be told."""

    name: str
    healthy: int
    desired: int | None
    always_allows_unhealthy: bool

    @property
    def allowed(self) -> int:
        """How many healthy pods may go."""
        return 0 if self.desired is None else max(0, self.healthy - self.desired)


def budget(document: Document, pods: Iterable[Document], owners: Mapping[str, Document]) -> Budget:
    """The budget over the ``pods`` of its namespace, whose owners are given by uid."""
    selected = [pod for pod in pods if selects(document, pod)]
    wanted = _wanted(selected, owners)
    spec = document["spec"]
    desired: int | None
    if isinstance(spec.get("minAvailable"), int):
        desired = spec["minAvailable"]
    elif wanted is None:
        desired = None
    elif "minAvailable" in spec:
        desired = _share(spec["minAvailable"], wanted)
    else:
        desired = max(0, wanted - _share(spec["maxUnavailable"], wanted))
    always = spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    healthy = sum(is_ready(pod) for pod in selected)
    return Budget(document["metadata"]["name"], healthy, desired, always)


def refusal(pod: Document, budgets: list[Budget]) -> ApiError | None:
    """Why a pod, which ``budgets`` select, is not evicted; None when it is."""
    if pod.get("status", {}).get("phase") in ("Pending", "Succeeded", "Failed"):
        return None
    if "deletionTimestamp" in pod["metadata"] or not budgets:
        return None
    if len(budgets) > 1:
        told = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        return ApiError(500, "InternalError", told)
    [found] = budgets
    unhealthy_may_go = found.always_allows_unhealthy or (found.desired or 0) <= found.healthy
    if found.allowed > 0 or (not is_ready(pod) and found.desired is not None and unhealthy_may_go):
        return None
    told = f"The disruption budget {found.name} needs {found.desired} healthy pods and has {found.healthy} currently"
    cause = {"reason": "DisruptionBudget", "message": told}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", message, {"causes": [cause]})


def selects(document: Document, pod: Document) -> bool:
    """Whether a PodDisruptionBudget is about a pod. An empty selector selects all, none selects nothing."""
    selector = document["spec"].get("selector")
    labels = pod["metadata"].get("labels", {})
    return selector is not None and all(clause.accepts(labels) for clause in object_clauses(selector))


def is_ready(pod: Document) -> bool:
    """Whether a pod counts as healthy."""
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _wanted(pods: Iterable[Document], owners: Mapping[str, Document]) -> int | None:
    uids = {owner["uid"] for pod in pods for owner in pod["metadata"].get("ownerReferences", ())}
    found = [owners.get(uid, {}) for uid in uids]
    if not found or any(owner.get("kind") not in SCALED_KINDS for owner in found):
        return None
    return sum(int(owner["spec"].get("replicas", 1)) for owner in found)


def _share(stated: int | str, wanted: int) -> int:
    """A number of pods, or a part of the wanted ones, rounded up."""
    if isinstance(stated, int):
        return stated
    return -(-int(stated.removesuffix("%")) * wanted // 100)
