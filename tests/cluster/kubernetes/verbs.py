"""What each command asks of the API: the roles of the chart grant this and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.kubernetes.resources import (
    EVENTS,
    LEASES,
    NODES,
    PODS,
    RAY_CLUSTERS,
    RAY_SERVICES,
    RESOURCE_QUOTAS,
    Resource,
)


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one kind of object, or on a subresource of it."""

    resource: Resource
    verb: str
    subresource: str | None = None

    @property
    def name(self) -> str:
        """As rules of roles name the resource."""
        return self.resource.plural if self.subresource is None else f"{self.resource.plural}/{self.subresource}"


def _rights(*given: tuple[Resource, str]) -> frozenset[Right]:
    return frozenset(Right(resource, verb) for resource, verbs in given for verb in verbs.split())


RENDER = _rights((NODES, "list"))
APPLY = _rights((RAY_SERVICES, "list patch"))
STATUS = _rights((RAY_SERVICES, "list"), (RAY_CLUSTERS, "list"), (PODS, "list"), (EVENTS, "list"))
WAIT = _rights((RAY_SERVICES, "list watch"))
DRAIN = _rights((NODES, "get patch"), (RAY_SERVICES, "list"), (RAY_CLUSTERS, "list"), (PODS, "list watch")) | {
    Right(PODS, "create", "eviction")
}
CAPACITY = _rights((RAY_SERVICES, "list get patch"), (PODS, "list"), (RESOURCE_QUOTAS, "list"), (NODES, "list"))
CAPACITY_LOOP = CAPACITY | _rights((LEASES, "get create patch"))

COMMANDS: Mapping[str, frozenset[Right]] = {
    "render": RENDER,
    "apply": APPLY,
    "status": STATUS,
    "wait": WAIT,
    "drain": DRAIN,
    "capacity": CAPACITY,
    "capacity --watch": CAPACITY_LOOP,
}

PEOPLE = RENDER | APPLY | STATUS | WAIT | DRAIN | CAPACITY
"""What the role for people grants: every command but the loop, which has an account of its own."""


def rules(rights: Iterable[Right]) -> dict[tuple[str, str], frozenset[str]]:
    """The verbs by API group and resource, as a role has them."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for right in rights:
        place = right.resource.group, right.name
        found[place] = found.get(place, frozenset()) | {right.verb}
    return found
