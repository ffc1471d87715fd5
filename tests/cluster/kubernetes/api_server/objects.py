"""What the server makes of an object that a client sends: pure functions from the sent and the stored one."""

from __future__ import annotations

import re
from typing import Any

from tests.cluster.kubernetes.api_server.resources import Document, Resource
from tests.cluster.kubernetes.api_server.schema import Problem
from tests.cluster.kubernetes.api_server.status import ApiError, Cause, bad_request, conflict, invalid

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
PATH_SEGMENT = re.compile(r"(?!\.{1,2}$)[^/%]+")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
OWNED_BY_SERVER = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
NOT_DESIRED = ("apiVersion", "kind", "metadata", "status")
FIXED_FIELDS: dict[str, tuple[str, ...]] = {
    "statefulsets.apps": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    "deployments.apps": ("selector",),
    "daemonsets.apps": ("selector",),
    "jobs.batch": ("selector", "template", "completionMode"),
}
"""Fields of ``spec`` that cannot change."""


def admitted(resource: Resource, body: Any, validation: str) -> tuple[Document, list[str]]:
    """
    The object that is stored for ``body``, and warnings. Unknown fields are dropped, with a warning or a refusal as
    ``validation`` (``Ignore``, ``Warn`` or ``Strict``) asks; defaults are filled in.
    """
    if not isinstance(body, dict):
        raise bad_request("the body is not an object")
    for name, expected in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if body.get(name, expected) != expected:
            raise bad_request(f"the {name} in the data ({body[name]}) does not match the expected {name} ({expected})")
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
    if not isinstance(body.setdefault("metadata", {}), dict):
        raise bad_request("metadata is not an object")
    if resource.schema is None:
        return body, []
    document, unknown = resource.schema.admit(body)
    told = [f'unknown field "{path}"' for path in unknown]
    if told and validation == "Strict":
        raise bad_request(f"{_handled(resource)}: strict decoding error: {', '.join(told)}")
    return document, told if validation == "Warn" else []


def check(resource: Resource, document: Document) -> None:
    """Refuse an object whose fields are wrong."""
    name = document["metadata"].get("name", "")
    problems = resource.schema.problems(document) if resource.schema is not None else []
    wrong = [problem for problem in problems if problem.decoding]
    if wrong and (not resource.custom or wrong[0].field.startswith("metadata")):
        raise bad_request(f"{_handled(resource)}: json: {wrong[0].message}")
    causes = [_cause(problem) for problem in problems]
    causes += _metadata_causes(resource, document["metadata"])
    if causes:
        raise invalid(resource, name, causes)


def created(resource: Resource, body: Document, namespace: str, uid: str, now: str) -> Document:
    """A new object of ``namespace``, whose body has been admitted."""
    metadata = dict(body["metadata"])
    if metadata.get("resourceVersion"):
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    if metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + uid[:5]
    if namespace:
        metadata["namespace"] = namespace
    metadata = {name: value for name, value in metadata.items() if name not in OWNED_BY_SERVER}
    metadata |= {"uid": uid, "creationTimestamp": now}
    if resource.counted:
        metadata["generation"] = 1
    document = {**body, "metadata": metadata}
    if resource.has_status:
        document.pop("status", None)
    return _with_name_of_its_own(resource, document)


def replaced(resource: Resource, old: Document, body: Document) -> Document:
    """The stored object ``old`` after a write of ``body`` to it, which leaves its status."""
    metadata = _kept_metadata(resource, old, body)
    document = {**body, "metadata": metadata}
    if resource.has_status:
        document.pop("status", None)
        if "status" in old:
            document["status"] = old["status"]
    if resource.counted and _desired(document) != _desired(old):
        metadata["generation"] = old["metadata"].get("generation", 1) + 1
    _refuse_fixed(resource, old, document)
    return document


def with_status_of(resource: Resource, old: Document, body: Document) -> Document:
    """The stored object ``old`` after a write of ``body`` to its status, which leaves all else."""
    _kept_metadata(resource, old, body)
    document = {name: value for name, value in old.items() if name != "status"}
    return {**document, "status": body["status"]} if "status" in body else document


def without_version(document: Document) -> Document:
    """The object without its resourceVersion: what decides whether a write changes anything."""
    metadata = {name: value for name, value in document["metadata"].items() if name != "resourceVersion"}
    return {**document, "metadata": metadata}


def _kept_metadata(resource: Resource, old: Document, body: Document) -> Document:
    """The metadata of ``body`` with what only the server writes, unless it is about another object or version."""
    known, sent = old["metadata"], body["metadata"]
    name = known["name"]
    if sent.get("name", name) != name:
        raise bad_request(f"the name of the object ({sent['name']}) does not match the name on the URL ({name})")
    if sent.get("namespace", known.get("namespace")) != known.get("namespace"):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if sent.get("uid", known["uid"]) != known["uid"]:
        told = f"Precondition failed: UID in precondition: {sent['uid']}, UID in object meta: {known['uid']}"
        raise conflict(resource, name, told)
    version = sent.get("resourceVersion")
    if not version and resource.conditional:
        told = "Invalid value: 0: must be specified for an update"
        raise invalid(resource, name, [Cause("metadata.resourceVersion", "FieldValueInvalid", told)])
    if version and version != known["resourceVersion"]:
        raise conflict(resource, name)
    kept = {field: known[field] for field in OWNED_BY_SERVER if field in known}
    named = {"name": name, **({"namespace": known["namespace"]} if "namespace" in known else {})}
    free = {field: value for field, value in sent.items() if field not in OWNED_BY_SERVER}
    return {**free, **named, **kept, "resourceVersion": known["resourceVersion"]}


def _desired(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in NOT_DESIRED}


def _refuse_fixed(resource: Resource, old: Document, new: Document) -> None:
    fields = FIXED_FIELDS.get(resource.qualified, ())
    changed = [field for field in fields if old["spec"].get(field) != new.get("spec", {}).get(field)]
    causes = [Cause(f"spec.{field}", "FieldValueInvalid", "Invalid value: field is immutable") for field in changed]
    if resource.plural.endswith("rolebindings") and old["roleRef"] != new.get("roleRef"):
        causes.append(Cause("roleRef", "FieldValueInvalid", "Invalid value: cannot change roleRef"))
    if causes:
        raise invalid(resource, old["metadata"]["name"], causes)


def _with_name_of_its_own(resource: Resource, document: Document) -> Document:
    """Some kinds are named by what they define; namespaces carry their name as a label."""
    name = document["metadata"].get("name")
    if resource.plural == "namespaces":
        labels = {**document["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
        return {**document, "metadata": {**document["metadata"], "labels": labels}, "status": {"phase": "Active"}}
    if resource.plural == "secrets":
        encoded = document.get("data", {})
        return {"type": "Opaque", **document, **({"data": encoded} if encoded else {})}
    return document


def _metadata_causes(resource: Resource, metadata: Document) -> list[Cause]:
    name = metadata.get("name")
    if not name:
        return [Cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")]
    allowed = PATH_SEGMENT if resource.group == "rbac.authorization.k8s.io" else SUBDOMAIN
    causes = []
    if not allowed.fullmatch(name) or len(name) > 253:
        told = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
        causes.append(Cause("metadata.name", "FieldValueInvalid", told + "characters, '-' or '.'"))
    for key, value in metadata.get("labels", {}).items():
        if not LABEL.fullmatch(value) or not LABEL.fullmatch(key.rpartition("/")[2]):
            told = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric characters'
            )
            causes.append(Cause("metadata.labels", "FieldValueInvalid", told))
    return causes


def _cause(problem: Problem) -> Cause:
    return Cause(problem.field, problem.reason, problem.message)


def _handled(resource: Resource) -> str:
    return f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
