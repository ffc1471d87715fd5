"""The kinds of objects that the commands read and write, as the API addresses them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object. The core group is empty."""

    group: str
    version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of all of them, or of one. A kind of the whole cluster knows no namespace."""
        root = ("apis", self.group, self.version) if self.group else ("api", self.version)
        place = ("namespaces", namespace) if self.is_namespaced and namespace is not None else ()
        return "".join(
            f"/{quote(part, safe='')}" for part in (*root, *place, self.plural, name, subresource) if part is not None
        )


NODES = Resource("", "v1", "nodes", is_namespaced=False)
PODS = Resource("", "v1", "pods")
EVENTS = Resource("", "v1", "events")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas")
RAY_SERVICES = Resource("ray.io", "v1", "rayservices")
RAY_CLUSTERS = Resource("ray.io", "v1", "rayclusters")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
