"""``dllm k8s wait``: until a release runs what was asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from cluster.kubernetes.client import Kubernetes, Selection
from cluster.kubernetes.objects import name_of
from cluster.kubernetes.ray_service import ray_service_of
from cluster.kubernetes.resources import RAY_SERVICES
from cluster.kubernetes.services import NoService, find_service
from cluster.kubernetes.status import is_settled, summary
from cluster.kubernetes.watching import follow

TICK_SECONDS = 30.0


class NotSettled(Exception):
    """The time was up."""


def wait(
    kubernetes: Kubernetes,
    namespace: str,
    release: str | None,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """Watch the release's RayService until it is settled; tells each change of its state.

    Raises :class:`NotSettled` when ``timeout`` seconds were not enough.
    """
    deadline = clock() + timeout
    name = name_of(find_service(kubernetes, namespace, release))
    told = ""
    selection = Selection(RAY_SERVICES, namespace, fields=f"metadata.name={name}")
    for objects in follow(kubernetes, selection, min(TICK_SECONDS, timeout)):
        if name not in objects:
            raise NoService(f"the RayService {name} has been removed")
        service = ray_service_of(objects[name])
        said = summary(service)
        if said != told:
            yield said
            told = said
        if is_settled(service):
            return
        if clock() >= deadline:
            raise NotSettled(f"{name} after {timeout:g} s: {said}")
