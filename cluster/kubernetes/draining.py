"""``dllm k8s drain``: the node is cordoned, and its pods are evicted as :mod:`cluster.kubernetes.drain` decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.drain import Drain, Drained, Evict
from cluster.kubernetes.errors import KubernetesError, Refused
from cluster.kubernetes.objects import Object, part
from cluster.kubernetes.pods import HEAD_GROUP, Pod, pod_of
from cluster.kubernetes.resources import NODES, PODS
from cluster.kubernetes.services import INSTANCE_LABEL, desired_pods
from cluster.kubernetes.watching import follow

TICK_SECONDS = 10.0
"""How long a draining waits for a change before it asks again for an eviction that a budget forbade."""


class NotDrained(Exception):
    """The time was up."""


def cordon(kubernetes: Kubernetes, node: str) -> bool:
    """Keep further pods from the node; false if it was cordoned already."""
    value = kubernetes.get(NODES, None, node)
    if part(value, "spec").get("unschedulable"):
        return False
    operations = [{"op": "add", "path": "/spec/unschedulable", "value": True}]
    kubernetes.patch(NODES, None, node, operations)
    return True


def drain(
    kubernetes: Kubernetes,
    namespace: str,
    release: str,
    node: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    tick: float = TICK_SECONDS,
) -> Iterator[str]:
    """Empty the cordoned ``node`` of the pods of a release; tells each step. Raises :class:`NotDrained` when
    ``timeout`` seconds were not enough; what was evicted stays so.
    """
    deadline = clock() + timeout
    selection = Selection(PODS, namespace, f"{INSTANCE_LABEL}={release}")
    draining: Drain | None = None
    told = ""
    for objects in follow(kubernetes, selection, tick):
        pods = [pod_of(each) for each in objects.values()]
        draining = draining or Drain.of(node, pods)
        step = draining.next(pods, _desired(kubernetes, namespace, pods))
        if isinstance(step, Drained):
            yield f"{node} holds no pod of {release}"
            return
        said = _evict(kubernetes, namespace, step.pod) if isinstance(step, Evict) else f"waiting: {step.reason}"
        if said != told:
            yield said
            told = said
        if clock() >= deadline:
            raise NotDrained(f"{node} is not drained after {timeout:g} s; {said}")


def _evict(kubernetes: Kubernetes, namespace: str, pod: Pod) -> str:
    body: Object = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    try:
        kubernetes.create(PODS, namespace, body, of=(pod.name, "eviction"))
    except Refused as error:
        match error.status:
            case HTTPStatus.TOO_MANY_REQUESTS:
                return f"waiting: {pod.name} may not go yet: {error}"
            case HTTPStatus.NOT_FOUND | HTTPStatus.CONFLICT:
                return f"{pod.name} is gone already"
        raise
    except KubernetesError as error:
        # Whether it came through shows in the pods, which are looked at next.
        return f"waiting: {error}"
    return f"evicted {pod.name}"


def _desired(kubernetes: Kubernetes, namespace: str, pods: Iterable[Pod]) -> dict[tuple[str, str], int]:
    """By Ray cluster and group, how many pods are wanted."""
    desired = {}
    for name in sorted({pod.cluster for pod in pods if pod.cluster}):
        desired[name, HEAD_GROUP] = 1
        desired |= {(name, group): number for group, number in desired_pods(kubernetes, namespace, name).items()}
    return desired
