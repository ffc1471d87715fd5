"""What a request asks, read from its method and its path as Kubernetes reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One request. ``resource`` is empty for paths that name none, such as those of discovery; ``namespace`` is empty
    for resources of the cluster and for all namespaces, ``name`` for whole collections.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user: str = ""
    dry_run: bool = False

    @property
    def full_resource(self) -> str:
        """The resource with its subresource, as access rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def read_request(method: str, path: str, query: Mapping[str, str], user: str) -> Asked:
    """The request that ``method`` and ``path`` make."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return Asked(method.lower(), path, user=user)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = [*rest, "", ""][:3]
    if resource == "namespaces" and not group:
        namespace = name
    watching = query.get("watch", "").lower() in ("1", "true")
    if method == "GET":
        verb = "watch" if watching else ("get" if name else "list")
    elif method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = VERBS.get(method, method.lower())
    dry_run = query.get("dryRun") == "All"
    return Asked(verb, path, group, version, resource, subresource, namespace, name, user, dry_run)
