"""
What the server says of itself: its version, its groups, and the resources of each.

Of OpenAPI it has what kubectl and helm look up: which kinds can be tried (``dryRun``) and are checked for unknown
fields (``fieldValidation``).
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.cluster.kubernetes.api_server.resources import Document, Resource

VERSION: Document = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0",
    "gitCommit": "0" * 40,
    "gitTreeState": "clean",
    "buildDate": "2026-08-26T00:00:00Z",
    "goVersion": "go1.26.0",
    "compiler": "gc",
    "platform": "linux/amd64",
}
WRITE_PARAMETERS = [{"name": name, "in": "query"} for name in ("dryRun", "fieldManager", "fieldValidation")]
SUBRESOURCE_VERBS = {"status": ["get", "patch", "update"], "scale": ["get", "patch", "update"]}
CORE: Document = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def discovered(path: str, resources: Iterable[Resource]) -> Document | None:
    """The answer to a path of discovery; None for another path."""
    known = list(resources)
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["version"]:
            return VERSION
        case ["api"]:
            return CORE
        case ["apis"]:
            groups = sorted({resource.group for resource in known} - {""})
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, known) for name in groups]}
        case ["apis", group] if any(resource.group == group for resource in known):
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, known)}
        case ["api", version]:
            return _resources("", version, known)
        case ["apis", group, version]:
            return _resources(group, version, known)
        case ["openapi", "v3"]:
            versions = {_root(resource) for resource in known}
            return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in sorted(versions)}}
        case ["openapi", "v3", *rest]:
            return _operations("/".join(rest), known)
    return None


def _group(name: str, known: list[Resource]) -> Document:
    versions = sorted({resource.version for resource in known if resource.group == name})
    stated = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": stated, "preferredVersion": stated[0]}


def _resources(group: str, version: str, known: list[Resource]) -> Document | None:
    listed = [resource for resource in known if (resource.group, resource.version) == (group, version)]
    if not listed:
        return None
    entries = [entry for resource in listed for entry in _entries(resource)]
    group_version = listed[0].api_version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entries(resource: Resource) -> Iterable[Document]:
    about = {"singularName": "", "namespaced": resource.namespaced, "kind": resource.kind}
    singular = {"singularName": resource.kind.lower()}
    short = {"shortNames": list(resource.short_names)} if resource.short_names else {}
    yield {"name": resource.plural, **about, **singular, **short, "verbs": list(resource.verbs)}
    for subresource in resource.subresources:
        entry: Document = {"name": f"{resource.plural}/{subresource}", **about}
        if subresource == "eviction":
            entry |= {"group": "policy", "version": "v1", "kind": "Eviction"}
        yield {**entry, "verbs": SUBRESOURCE_VERBS.get(subresource, ["create"])}


def _root(resource: Resource) -> str:
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def _operations(root: str, known: list[Resource]) -> Document | None:
    listed = [resource for resource in known if _root(resource) == root]
    if not listed:
        return None
    paths = {}
    for resource in listed:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        operation = {"x-kubernetes-group-version-kind": kind, "parameters": WRITE_PARAMETERS, "responses": {}}
        paths[f"/{root}/{resource.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}
