"""What quotas leave, and to whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cluster.kubernetes.quotas import claims, quota_of
from cluster.kubernetes.ray_service import worker_group_of
from tests.cluster.kubernetes import things

GPUS = {"requests.nvidia.com/gpu": "8"}


def test_what_is_left_is_what_is_granted_less_what_is_used() -> None:
    quota = quota_of(things.quota("gpus", {**GPUS, "pods": "10"}, {"requests.nvidia.com/gpu": "3"}))
    assert quota.left == {"requests.nvidia.com/gpu": 5, "pods": 10}
    over = quota_of(things.quota("gpus", GPUS, {"requests.nvidia.com/gpu": "12"}))
    assert over.left == {"requests.nvidia.com/gpu": 0}


def test_a_quota_that_was_not_counted_yet_leaves_what_it_grants() -> None:
    value = things.quota("gpus", GPUS, {})
    del value["status"]
    assert quota_of(value).left == {"requests.nvidia.com/gpu": 8}


def test_a_pod_is_counted_by_every_name_that_a_quota_may_have_for_it() -> None:
    taken = dict(claims(worker_group_of(things.group("h100", "H100"))))
    assert taken == {
        "pods": 1,
        "count/pods": 1,
        "cpu": 8,
        "requests.cpu": 8,
        "limits.cpu": 12,
        "memory": 64 * Decimal(1 << 30),
        "requests.memory": 64 * Decimal(1 << 30),
        "limits.memory": 96 * Decimal(1 << 30),
        "requests.nvidia.com/gpu": 1,
        "limits.nvidia.com/gpu": 1,
    }


def scope(operator: str, *values: str) -> dict[str, Any]:
    expression = {"scopeName": "PriorityClass", "operator": operator, **({"values": list(values)} if values else {})}
    return {"scopeSelector": {"matchExpressions": [expression]}}


@pytest.mark.parametrize(
    ("spec", "priority_class", "counts"),
    [
        ({}, None, True),
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, None, True),
        ({"scopes": ["Terminating"]}, None, False),
        ({"scopes": ["BestEffort"]}, None, False),
        (scope("In", "high"), "high", True),
        (scope("In", "high"), None, False),
        (scope("NotIn", "high"), "high", False),
        (scope("NotIn", "high"), "low", True),
        (scope("Exists"), "low", True),
        (scope("Exists"), None, False),
        (scope("DoesNotExist"), None, True),
        (scope("DoesNotExist"), "low", False),
    ],
)
def test_a_quota_counts_pods_in_all_of_its_scopes(spec: Any, priority_class: str | None, counts: bool) -> None:
    group = things.group("h100", "H100")
    if priority_class is not None:
        group["template"]["spec"]["priorityClassName"] = priority_class
    assert quota_of(things.quota("q", GPUS, {}, **spec)).counts(worker_group_of(group)) is counts
