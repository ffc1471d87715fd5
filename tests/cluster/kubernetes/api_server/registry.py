"""The verbs on objects: what each does to the store, and what it refuses."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.cluster.kubernetes.api_server import objects, status
from tests.cluster.kubernetes.api_server.patches import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    MalformedPatchError,
    PatchError,
    json_patch,
    merge_patch,
    strategic_merge_patch,
)
from tests.cluster.kubernetes.api_server.resources import (
    Document,
    Resource,
    built_in_resources,
    defined_resource,
)
from tests.cluster.kubernetes.api_server.store import Key, Store

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
FIRST_NAMESPACES = ("default", "kube-system")
TERMINATING_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Written:
    """The object after a write, and the warnings that the client is shown."""

    document: Document
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a write is to be made: only tried, and what becomes of unknown fields."""

    dry_run: bool = False
    validation: str = "Warn"


PLAIN = WriteOptions()


@dataclass
class Registry:
    """
    The objects of a cluster that has no controllers but the collection of garbage. Pods that are bound to a node
    end at once when ``kubelets_end_pods``; otherwise they stay until ``end_pod``.
    """

    clock: Callable[[], datetime]
    new_uid: Callable[[], str]
    store: Store = field(default_factory=Store)
    kubelets_end_pods: bool = True
    resources: dict[tuple[str, str, str], Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for resource in built_in_resources():
            self.serve(resource)
        namespaces = self.resource("", "v1", "namespaces")
        for name in FIRST_NAMESPACES:
            self.create(namespaces, "", {"metadata": {"name": name}})

    def serve(self, resource: Resource) -> None:
        """Answer for ``resource`` from here on."""
        self.resources[resource.group, resource.version, resource.plural] = resource

    def resource(self, group: str, version: str, plural: str) -> Resource:
        """The resource by its path. An unknown one is the refusal 404."""
        found = self.resources.get((group, version, plural))
        if found is None:
            raise status.ApiError(404, "NotFound", "the server could not find the requested resource")
        return found

    def resource_of(self, document: Document) -> Resource:
        """The resource of an object by what it says it is."""
        group, _, version = document["apiVersion"].rpartition("/")
        for resource in self.resources.values():
            if (resource.group, resource.version, resource.kind) == (group, version, document["kind"]):
                return resource
        raise KeyError(f"{document['apiVersion']} {document['kind']}")

    def now(self) -> str:
        """The time of the server, to the second, as metadata tells it."""
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, resource: Resource, namespace: str, name: str) -> Document:
        """The stored object."""
        found = self.store.objects.get(Key(resource.qualified, namespace, name))
        if found is None:
            raise status.not_found(resource, name)
        return found

    def create(self, resource: Resource, namespace: str, body: Any, options: WriteOptions = PLAIN) -> Written:
        """A new object."""
        admitted, warnings = objects.admitted(resource, body, options.validation)
        with self.store.lock:
            document = objects.created(resource, _encoded(resource, admitted), namespace, self.new_uid(), self.now())
            objects.check(resource, document)
            key = Key(resource.qualified, namespace, document["metadata"]["name"])
            self._require_namespace(namespace)
            if key in self.store.objects:
                raise status.already_exists(resource, key.name)
            stored = document if options.dry_run else self.store.put(key, document)
            if resource.qualified == DEFINITIONS and not options.dry_run:
                stored = self._define(key, stored)
        return Written(stored, tuple(warnings))

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        subresource: str = "",
        options: WriteOptions = PLAIN,
    ) -> Written:
        """The whole object, or the whole status, anew."""
        admitted, warnings = objects.admitted(resource, body, options.validation)
        with self.store.lock:
            old = self.get(resource, namespace, name)
            new = self._rewritten(resource, old, _encoded(resource, admitted), subresource)
            return Written(self._store(resource, old, new, options.dry_run), tuple(warnings))

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        media_type: str,
        patch: Any,
        subresource: str = "",
        options: WriteOptions = PLAIN,
    ) -> Written:
        """The object with some of its fields changed."""
        with self.store.lock:
            old = self.get(resource, namespace, name)
            admitted, warnings = objects.admitted(
                resource, self._patched(resource, old, media_type, patch), options.validation
            )
            new = self._rewritten(resource, old, _encoded(resource, admitted), subresource)
            return Written(self._store(resource, old, new, options.dry_run), tuple(warnings))

    def delete(self, resource: Resource, namespace: str, name: str, asked: Document, dry_run: bool = False) -> Document:
        """The object as removed, or as it waits for its finalizers or its kubelet. ``asked`` are DeleteOptions."""
        with self.store.lock:
            old = self.get(resource, namespace, name)
            for kind, wanted in asked.get("preconditions", {}).items():
                known = old["metadata"]["uid" if kind == "uid" else "resourceVersion"]
                if wanted != known:
                    told = f"Precondition failed: {kind} in precondition: {wanted}, in object meta: {known}"
                    raise status.conflict(resource, name, told)
            if dry_run:
                return old
            grace = _grace_seconds(resource, old, asked)
            if not old["metadata"].get("finalizers") and not grace:
                return self._remove(resource, old, orphan=asked.get("propagationPolicy") == "Orphan")
            waiting = self._mark_deleted(resource, old, grace)
            if grace and self.kubelets_end_pods and not old["metadata"].get("finalizers"):
                self._remove(resource, waiting)
            return waiting

    def end_pod(self, namespace: str, name: str) -> None:
        """What a kubelet does when the containers of a pod that is to be deleted have ended."""
        pods = self.resource("", "v1", "pods")
        self.delete(pods, namespace, name, {"gracePeriodSeconds": 0})

    def selected(self, resource: Resource, namespace: str) -> list[Document]:
        """The stored objects of a namespace, or of all when it is empty, by key."""
        return documents_of(self.store.objects, resource, namespace)

    def _patched(self, resource: Resource, old: Document, media_type: str, patch: Any) -> Any:
        try:
            if media_type == JSON_PATCH:
                return json_patch(old, patch)
            if not isinstance(patch, dict):
                raise MalformedPatchError("the patch is not an object")
            if media_type == MERGE_PATCH:
                return merge_patch(old, patch)
            if media_type == STRATEGIC_PATCH and not resource.custom and resource.schema is not None:
                return strategic_merge_patch(resource.schema, old, patch)
        except MalformedPatchError as error:
            raise status.bad_request(str(error)) from None
        except PatchError:
            raise status.unspecific(422) from None
        raise status.unsupported_media_type(
            (JSON_PATCH, MERGE_PATCH) if resource.custom else (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
        )

    def _rewritten(self, resource: Resource, old: Document, body: Document, subresource: str) -> Document:
        if subresource == "status":
            new = objects.with_status_of(resource, old, body)
        else:
            new = objects.replaced(resource, old, body)
        objects.check(resource, new)
        return new

    def _store(self, resource: Resource, old: Document, new: Document, dry_run: bool) -> Document:
        if dry_run or objects.without_version(old) == objects.without_version(new):
            return new
        metadata = new["metadata"]
        key = Key(resource.qualified, metadata.get("namespace", ""), metadata["name"])
        stored = self.store.put(key, new)
        if "deletionTimestamp" in metadata and not metadata.get("finalizers") and resource.plural != "pods":
            self._remove(resource, stored)
        elif resource.qualified == DEFINITIONS:
            return self._define(key, stored)
        return stored

    def _mark_deleted(self, resource: Resource, old: Document, grace: int) -> Document:
        if "deletionTimestamp" in old["metadata"]:
            return old
        added = {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": grace}
        return self._store(resource, old, {**old, "metadata": {**old["metadata"], **added}}, dry_run=False)

    def _remove(self, resource: Resource, old: Document, orphan: bool = False) -> Document:
        """Remove the object, what it owns unless that is orphaned, and what is in it if it is a namespace."""
        metadata = old["metadata"]
        removed = self.store.remove(Key(resource.qualified, metadata.get("namespace", ""), metadata["name"]))
        for document in [] if orphan else self._dependents(resource, metadata):
            owner = self.resource_of(document)
            self.delete(owner, document["metadata"].get("namespace", ""), document["metadata"]["name"], {})
        if resource.qualified == DEFINITIONS:
            spec = old["spec"]
            for version in spec["versions"]:
                self.resources.pop((spec["group"], version["name"], spec["names"]["plural"]), None)
        return removed

    def _dependents(self, resource: Resource, metadata: Document) -> Iterable[Document]:
        for key, document in list(self.store.objects.items()):
            owners = [owner["uid"] for owner in document["metadata"].get("ownerReferences", ())]
            inside = resource.plural == "namespaces" and key.namespace == metadata["name"]
            if key in self.store.objects and (inside or owners == [metadata["uid"]]):
                yield document

    def _define(self, key: Key, definition: Document) -> Document:
        """Serve the resource of a definition, and say so in its status."""
        self.serve(defined_resource(definition))
        names = definition["spec"]["names"]
        conditions = [
            {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": self.now()}
            for kind, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
        ]
        versions = [version["name"] for version in definition["spec"]["versions"] if version["storage"]]
        status_ = {"acceptedNames": names, "conditions": conditions, "storedVersions": versions}
        return self.store.put(key, {**definition, "status": status_})

    def _require_namespace(self, namespace: str) -> None:
        if namespace:
            self.get(self.resource("", "v1", "namespaces"), "", namespace)


def documents_of(stored: dict[Key, Document], resource: Resource, namespace: str) -> list[Document]:
    """The objects of a resource in a namespace, or in all when it is empty, by key."""
    keys = sorted(key for key in stored if key.resource == resource.qualified and namespace in ("", key.namespace))
    return [stored[key] for key in keys]


def _grace_seconds(resource: Resource, old: Document, asked: Document) -> int:
    """How long a pod that is bound to a node may take to end; 0 for all that needs no one to end it."""
    if resource.qualified != "pods" or not old["spec"].get("nodeName"):
        return 0
    if old.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    stated = asked.get("gracePeriodSeconds")
    return int(old["spec"].get("terminationGracePeriodSeconds", TERMINATING_SECONDS) if stated is None else stated)


def _encoded(resource: Resource, document: Document) -> Document:
    """A Secret with its ``stringData`` among its data."""
    if resource.qualified != "secrets" or "stringData" not in document:
        return document
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in document["stringData"].items()}
    rest = {name: value for name, value in document.items() if name != "stringData"}
    return {**rest, "data": {**rest.get("data", {}), **encoded}}
