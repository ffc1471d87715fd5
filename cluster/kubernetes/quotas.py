"""What the ResourceQuotas of a namespace leave to the pods of worker groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cluster.kubernetes.objects import Object, name_of, part, quantity
from cluster.kubernetes.ray_service import WorkerGroup

ONE_POD = ("pods", "count/pods")
ALWAYS_OURS = frozenset({"NotTerminating", "NotBestEffort"})
"""Scopes that every pod of a worker group is in: it has requests and no deadline."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A condition on the priority class of the pods that a quota counts."""

    operator: str
    values: tuple[str, ...]

    def counts(self, priority_class: str | None) -> bool:
        """Whether pods of that class are counted."""
        match self.operator:
            case "In":
                return priority_class in self.values
            case "NotIn":
                return priority_class not in self.values
            case "Exists":
                return priority_class is not None
        return priority_class is None


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota: what it leaves, by resource. ``counts_ours`` is false where its scopes leave worker pods out."""

    name: str
    left: Mapping[str, Decimal]
    scopes: tuple[Scope, ...]
    counts_ours: bool

    def counts(self, group: WorkerGroup) -> bool:
        """Whether it counts the pods of the group."""
        return self.counts_ours and all(scope.counts(group.priority_class) for scope in self.scopes)


def quota_of(value: Object) -> Quota:
    """A ResourceQuota as the API gives it. One whose controller has not counted yet leaves what it grants."""
    hard = part(value, "status", "hard") or part(value, "spec", "hard")
    used = part(value, "status", "used")
    spec = part(value, "spec")
    conditions = [
        *({"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()),
        *(part(spec, "scopeSelector").get("matchExpressions") or ()),
    ]
    others = [each for each in conditions if each["scopeName"] != "PriorityClass"]
    return Quota(
        name_of(value),
        {name: max(quantity(amount) - quantity(used.get(name, "0")), Decimal(0)) for name, amount in hard.items()},
        tuple(
            Scope(each.get("operator", "Exists"), tuple(each.get("values") or ()))
            for each in conditions
            if each["scopeName"] == "PriorityClass"
        ),
        all(each["scopeName"] in ALWAYS_OURS for each in others),
    )


def claims(group: WorkerGroup) -> Iterator[tuple[str, Decimal]]:
    """What one pod of the group takes, by every name under which a quota may count it."""
    for name in ONE_POD:
        yield name, Decimal(1)
    for name, amount in group.requests.items():
        yield f"requests.{name}", amount
        if name in ("cpu", "memory"):
            yield name, amount
    for name, amount in group.limits.items():
        yield f"limits.{name}", amount
