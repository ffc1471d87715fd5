"""The JSON patch that gives worker groups other bounds, and nothing else.

A merge patch would replace the whole list of groups. Each group is tested to be the one that was looked at, with the
bounds that it had; ``replicas`` is the autoscaler's and is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cluster.kubernetes.capacity import Bounds
from cluster.kubernetes.objects import Object, part

GROUPS = "/spec/rayClusterConfig/workerGroupSpecs"


def bounds_patch(service: Object, bounds: Iterable[Bounds]) -> Sequence[Mapping[str, Any]]:
    """The operations that bring the groups of ``service`` to their ``bounds``; none where they have them. A group that
    is no longer there is left out.
    """
    groups: Sequence[Object] = part(service, "spec", "rayClusterConfig").get("workerGroupSpecs") or ()
    wanted = {each.group: each for each in bounds}
    operations: list[Mapping[str, Any]] = []
    for index, group in enumerate(groups):
        target = wanted.get(group["groupName"])
        if target is not None:
            operations += _group(f"{GROUPS}/{index}", group, target)
    return operations


def _group(path: str, group: Object, target: Bounds) -> list[Mapping[str, Any]]:
    changes = [
        change
        for key, value in (("minReplicas", target.least), ("maxReplicas", target.most))
        for change in _bound(path, group, key, value)
    ]
    return [{"op": "test", "path": f"{path}/groupName", "value": group["groupName"]}, *changes] if changes else []


def _bound(path: str, group: Object, key: str, value: int) -> list[Mapping[str, Any]]:
    if group.get(key) == value:
        return []
    was = [{"op": "test", "path": f"{path}/{key}", "value": group[key]}] if key in group else []
    return [*was, {"op": "add", "path": f"{path}/{key}", "value": value}]
