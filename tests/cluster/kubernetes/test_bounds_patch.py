"""The patch of bounds, on what the API server stores."""

from __future__ import annotations

from copy import deepcopy

from cluster.kubernetes.bounds_patch import bounds_patch
from cluster.kubernetes.capacity import Bounds
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server.patches import json_patch


def bounds(group: str, least: int, most: int) -> Bounds:
    return Bounds(group, least, most, ())


def test_groups_get_their_bounds_and_nothing_else_changes() -> None:
    service = things.ray_service()
    patched = json_patch(service, bounds_patch(service, [bounds("l40s", 0, 7), bounds("h100", 1, 2)]))
    expected = deepcopy(service)
    _, h100, l40s = expected["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    h100["maxReplicas"], l40s["minReplicas"], l40s["maxReplicas"] = 2, 0, 7
    assert patched == expected


def test_each_group_is_tested_to_be_the_one_that_was_looked_at() -> None:
    operations = bounds_patch(things.ray_service(), [bounds("h100", 1, 2)])
    path = "/spec/rayClusterConfig/workerGroupSpecs/1"
    assert operations == [
        {"op": "test", "path": f"{path}/groupName", "value": "h100"},
        {"op": "test", "path": f"{path}/maxReplicas", "value": 4},
        {"op": "add", "path": f"{path}/maxReplicas", "value": 2},
    ]


def test_replicas_are_never_written() -> None:
    operations = bounds_patch(things.ray_service(), [bounds("h100", 0, 9), bounds("l40s", 2, 2)])
    assert not any(each["path"].endswith("/replicas") for each in operations)


def test_nothing_is_patched_where_the_bounds_are_so_or_the_group_is_gone() -> None:
    assert bounds_patch(things.ray_service(), [bounds("h100", 1, 4), bounds("b200", 1, 9)]) == []


def test_a_bound_that_was_not_given_is_added() -> None:
    service = things.ray_service()
    del service["spec"]["rayClusterConfig"]["workerGroupSpecs"][1]["minReplicas"]
    patched = json_patch(service, bounds_patch(service, [bounds("h100", 1, 4)]))
    assert patched["spec"]["rayClusterConfig"]["workerGroupSpecs"][1]["minReplicas"] == 1
