"""What a client selects of a collection, and the pages in which it is listed."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.cluster.kubernetes.api_server import status
from tests.cluster.kubernetes.api_server.registry import documents_of
from tests.cluster.kubernetes.api_server.resources import Document, Resource
from tests.cluster.kubernetes.api_server.selectors import (
    Clause,
    SelectorError,
    field_clauses,
    label_clauses,
    matches_fields,
)
from tests.cluster.kubernetes.api_server.store import Store

TOO_OLD_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects of a resource, in a namespace or in all, that selectors accept."""

    resource: Resource
    namespace: str
    labels: tuple[Clause, ...] = ()
    fields: tuple[Clause, ...] = ()

    def accepts(self, document: Document) -> bool:
        """Whether an object of the resource is among them."""
        metadata = document["metadata"]
        if self.namespace and metadata.get("namespace", "") != self.namespace:
            return False
        labels = metadata.get("labels", {})
        return all(clause.accepts(labels) for clause in self.labels) and matches_fields(self.fields, document)


def selection(resource: Resource, namespace: str, name: str, query: Mapping[str, str]) -> Selection:
    """What the parameters of a request select; a ``name`` in its path selects that object only."""
    try:
        labels = label_clauses(query.get("labelSelector", ""))
        fields = field_clauses(resource.plural, query.get("fieldSelector", ""))
    except SelectorError as error:
        raise status.bad_request(str(error)) from None
    named = (Clause("metadata.name", "In", frozenset([name])),) if name else ()
    return Selection(resource, namespace if resource.namespaced else "", labels, (*fields, *named))


def listed(store: Store, selected: Selection, query: Mapping[str, str]) -> Document:
    """The list, or a page of it. Pages are of the moment of the first one."""
    with store.lock:
        version, after = _start(store, query)
        stored = store.objects_at(version)
        found = documents_of(stored, selected.resource, selected.namespace)
    matching = [document for document in found if selected.accepts(document)]
    rest = [document for document in matching if _place(document) > after]
    limit = int(query.get("limit") or 0) or len(rest)
    page, more = rest[:limit], rest[limit:]
    metadata: Document = {"resourceVersion": str(version)}
    if more:
        metadata["continue"] = _token(version, _place(page[-1]))
        if not selected.labels and not selected.fields:
            metadata["remainingItemCount"] = len(more)
    resource = selected.resource
    items = page if resource.custom else [_without_type(document) for document in page]
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": items}


def _start(store: Store, query: Mapping[str, str]) -> tuple[int, tuple[str, str]]:
    """The version of which the list is, and the place behind which it begins."""
    if query.get("continue"):
        version, after = _read_token(query["continue"])
        if version < store.compacted:
            raise status.expired(TOO_OLD_PAGE)
        return version, after
    stated = int(query.get("resourceVersion") or 0)
    if stated > store.version:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {stated}, current: {store.version}"
        raise status.ApiError(504, "Timeout", message, {"causes": [cause]}, retry_after=1)
    if query.get("resourceVersionMatch") == "Exact":
        if stated < store.compacted:
            raise status.expired(f"The resourceVersion for the provided list is too old: {stated}")
        return stated, ("", "")
    return store.version, ("", "")


def _place(document: Document) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def _token(version: int, place: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *place]).encode()).decode()


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise status.bad_request("continue key is not valid") from None
    return version, (namespace, name)


def _without_type(document: Document) -> Document:
    """An item of a list of a built-in kind, which does not repeat what the list says."""
    return {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}
