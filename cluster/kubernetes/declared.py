"""The bounds that the values of the chart gave each worker group.

They stand in an annotation of the RayService, since the bounds in its spec are what ``dllm k8s capacity`` changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cluster.kubernetes.capacity import Declared
from cluster.kubernetes.ray_service import MalformedService, RayService

ANNOTATION = "dllm/declared-bounds"


def declared_bounds(service: RayService) -> Mapping[str, Declared]:
    """The declared bounds by group. A group with pods of several hosts is left out: its pods are not handed out one by
    one. Raises :class:`MalformedService`.
    """
    text = service.annotations.get(ANNOTATION)
    if text is None:
        raise MalformedService(f"{service.name}: the annotation {ANNOTATION} is missing; the chart sets it")
    single = {group.name for group in service.groups if group.hosts == 1}
    try:
        bounds = {name: Declared(int(each["min"]), int(each["max"])) for name, each in json.loads(text).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedService(f"{service.name}: the annotation {ANNOTATION} is malformed: {error!r}") from error
    return {name: each for name, each in bounds.items() if name in single}
