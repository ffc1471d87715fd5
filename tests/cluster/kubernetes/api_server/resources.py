"""The resources that the server knows: the built-in ones a client of this project meets, and those of definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.cluster.kubernetes.api_server.schema import Schema, built_in_schema, structural_schema

Document = dict[str, Any]

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    """
    One resource of one version of a group (``""`` is the core group). ``schema`` is None where any field is taken.
    ``custom`` resources come from a definition. ``counted`` ones have a generation, which a change of what is
    desired raises. ``conditional`` ones can only be replaced with their resourceVersion stated.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    schema: Schema | None = None
    custom: bool = False
    counted: bool = False
    conditional: bool = False
    verbs: tuple[str, ...] = VERBS

    @property
    def qualified(self) -> str:
        """Its name with the group, as errors and files of access rules tell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """What objects of it state as ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether ``status`` is written through a subresource of its own only."""
        return "status" in self.subresources


def defined_resource(definition: Document) -> Resource:
    """The resource of a CustomResourceDefinition: its stored version."""
    spec = definition["spec"]
    version = next(version for version in spec["versions"] if version["storage"])
    document = version.get("schema", {}).get("openAPIV3Schema")
    names = spec["names"]
    return Resource(
        spec["group"],
        version["name"],
        names["plural"],
        names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames", ())),
        subresources=tuple(version.get("subresources", {})),
        schema=structural_schema(document) if document else None,
        custom=True,
        counted=True,
        conditional=True,
    )


def permissive_resource(group: str, version: str, plural: str, kind: str) -> Resource:
    """A namespaced custom resource with a status, of which any field is taken."""
    return Resource(group, version, plural, kind, True, (), ("status",), None, True, True, True)


def _built_in(api_version: str, plural: str, kind: str, short: str = "", **options: Any) -> Resource:
    group, _, version = api_version.rpartition("/")
    schema = built_in_schema(api_version, kind)
    return Resource(group, version, plural, kind, short_names=tuple(short.split()), schema=schema, **options)


STATUS = ("status",)
SCALED = ("status", "scale")
RBAC = "rbac.authorization.k8s.io/v1"


def built_in_resources() -> tuple[Resource, ...]:
    """What every server of version 1.37 has, as far as a chart or its operator needs it."""
    return (
        _built_in("v1", "namespaces", "Namespace", "ns", namespaced=False, subresources=("status", "finalize")),
        _built_in("v1", "nodes", "Node", "no", namespaced=False, subresources=STATUS),
        _built_in("v1", "pods", "Pod", "po", subresources=("status", "eviction"), counted=True),
        _built_in("v1", "services", "Service", "svc", subresources=STATUS),
        _built_in("v1", "endpoints", "Endpoints", "ep"),
        _built_in("v1", "configmaps", "ConfigMap", "cm"),
        _built_in("v1", "secrets", "Secret"),
        _built_in("v1", "serviceaccounts", "ServiceAccount", "sa"),
        _built_in("v1", "resourcequotas", "ResourceQuota", "quota", subresources=STATUS),
        _built_in("v1", "limitranges", "LimitRange", "limits"),
        _built_in("v1", "events", "Event", "ev"),
        _built_in("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=STATUS),
        _built_in("apps/v1", "deployments", "Deployment", "deploy", subresources=SCALED, counted=True),
        _built_in("apps/v1", "statefulsets", "StatefulSet", "sts", subresources=SCALED, counted=True),
        _built_in("apps/v1", "daemonsets", "DaemonSet", "ds", subresources=STATUS, counted=True),
        _built_in("apps/v1", "replicasets", "ReplicaSet", "rs", subresources=SCALED, counted=True),
        _built_in("apps/v1", "controllerrevisions", "ControllerRevision"),
        _built_in("batch/v1", "jobs", "Job", subresources=STATUS, counted=True),
        _built_in("batch/v1", "cronjobs", "CronJob", "cj", subresources=STATUS, counted=True),
        _built_in(
            "policy/v1",
            "poddisruptionbudgets",
            "PodDisruptionBudget",
            "pdb",
            subresources=STATUS,
            counted=True,
            conditional=True,
        ),
        _built_in("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "netpol", counted=True),
        _built_in("networking.k8s.io/v1", "ingresses", "Ingress", "ing", subresources=STATUS, counted=True),
        _built_in("coordination.k8s.io/v1", "leases", "Lease", conditional=True),
        _built_in("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "pc", namespaced=False),
        _built_in(RBAC, "roles", "Role"),
        _built_in(RBAC, "rolebindings", "RoleBinding"),
        _built_in(RBAC, "clusterroles", "ClusterRole", namespaced=False),
        _built_in(RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        _built_in(
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            "crd crds",
            namespaced=False,
            subresources=STATUS,
            counted=True,
        ),
        Resource(
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            namespaced=False,
            verbs=("create",),
        ),
    )
