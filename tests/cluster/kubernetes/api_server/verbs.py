"""What each verb answers: the bodies and codes of requests about a resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.kubernetes.api_server import eviction, protobuf, status
from tests.cluster.kubernetes.api_server.asked import Asked
from tests.cluster.kubernetes.api_server.patches import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from tests.cluster.kubernetes.api_server.reading import listed, selection
from tests.cluster.kubernetes.api_server.registry import Registry, WriteOptions, Written
from tests.cluster.kubernetes.api_server.resources import Document, Resource

JSON = "application/json"
VALIDATIONS = ("Ignore", "Warn", "Strict")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    code: int
    document: Document
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(
    registry: Registry, resource: Resource, asked: Asked, query: Mapping[str, str], media_type: str, body: bytes
) -> Answer:
    """The response to a request that is allowed, other than a watch."""
    namespace = asked.namespace if resource.namespaced else ""
    options = _options(query)
    media_type = media_type.partition(";")[0].strip() or JSON
    sent = _parsed(body, media_type, asked.verb, resource) if body else {}
    match asked.verb:
        case "get":
            return Answer(200, registry.get(resource, namespace, asked.name))
        case "list":
            return Answer(200, listed(registry.store, selection(resource, namespace, "", query), query))
        case "create" if asked.subresource == "eviction":
            return _evicted(registry, namespace, asked.name, sent, options.dry_run)
        case "create" if not asked.subresource:
            return _written(201, registry.create(resource, namespace, sent, options))
        case "update":
            written = registry.update(resource, namespace, asked.name, sent, asked.subresource, options)
            return _written(200, written)
        case "patch":
            written = registry.patch(resource, namespace, asked.name, media_type, sent, asked.subresource, options)
            return _written(200, written)
        case "delete":
            return Answer(200, _deleted(registry, resource, namespace, asked.name, sent, query))
        case "deletecollection":
            chosen = selection(resource, namespace, "", query)
            found = [item for item in registry.selected(resource, namespace) if chosen.accepts(item)]
            for item in found:
                metadata = item["metadata"]
                registry.delete(resource, metadata.get("namespace", ""), metadata["name"], sent, options.dry_run)
            return Answer(200, {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "items": found})
    raise status.method_not_allowed()


def _options(query: Mapping[str, str]) -> WriteOptions:
    dry_run, validation = query.get("dryRun", ""), query.get("fieldValidation", "Warn")
    if dry_run not in ("", "All"):
        raise status.bad_request(f'Invalid value: "{dry_run}": dryRun: supported values: "All"')
    if validation not in VALIDATIONS:
        raise status.bad_request(f'Invalid value: "{validation}": fieldValidation: supported values: {VALIDATIONS}')
    return WriteOptions(dry_run == "All", validation)


def _parsed(body: bytes, media_type: str, verb: str, resource: Resource) -> Any:
    patches = (JSON_PATCH, MERGE_PATCH) if resource.custom else (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
    accepted = patches if verb == "patch" else (JSON,) if resource.custom else (JSON, protobuf.MEDIA_TYPE)
    if media_type not in accepted:
        raise status.unsupported_media_type(accepted)
    try:
        return protobuf.decoded(body) if media_type == protobuf.MEDIA_TYPE else json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"the body cannot be read: {error}") from None


def _written(code: int, written: Written) -> Answer:
    warnings = ", ".join(f"299 - {json.dumps(warning)}" for warning in written.warnings)
    return Answer(code, written.document, {"Warning": warnings} if warnings else {})


def _deleted(
    registry: Registry, resource: Resource, namespace: str, name: str, sent: Document, query: Mapping[str, str]
) -> Document:
    stated = {field: query[field] for field in ("gracePeriodSeconds", "propagationPolicy") if field in query}
    dry_run = query.get("dryRun") == "All" or "All" in sent.get("dryRun", ())
    removed = registry.delete(resource, namespace, name, {**sent, **stated}, dry_run)
    if removed["metadata"].get("finalizers") or resource.plural == "pods":
        return removed
    details = {"name": name, "group": resource.group, "kind": resource.plural, "uid": removed["metadata"]["uid"]}
    told = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": told}


def _evicted(registry: Registry, namespace: str, name: str, sent: Document, dry_run: bool) -> Answer:
    if sent.get("kind", "Eviction") != "Eviction" or sent.get("apiVersion", "policy/v1") != "policy/v1":
        raise status.bad_request(f"not an Eviction of policy/v1: {sent.get('apiVersion')} {sent.get('kind')}")
    pods = registry.resource("", "v1", "pods")
    with registry.store.lock:
        pod = registry.get(pods, namespace, name)
        refused = eviction.refusal(pod, _budgets(registry, namespace, pod))
        if refused is not None:
            raise refused
        registry.delete(pods, namespace, name, sent.get("deleteOptions", {}), dry_run)
    return Answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})


def _budgets(registry: Registry, namespace: str, pod: Document) -> list[eviction.Budget]:
    pods = registry.selected(registry.resource("", "v1", "pods"), namespace)
    stated = registry.selected(registry.resource("policy", "v1", "poddisruptionbudgets"), namespace)
    owners = {document["metadata"]["uid"]: document for document in registry.store.objects.values()}
    return [eviction.budget(document, pods, owners) for document in stated if eviction.selects(document, pod)]
