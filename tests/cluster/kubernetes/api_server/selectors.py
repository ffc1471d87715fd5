"""Label and field selectors, as clients send them and as objects hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REQUIREMENT = re.compile(r"(?P<key>[\w./-]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)")
COMPARISON = re.compile(r"(?P<key>[\w./-]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[\w.-]*)")
PRESENCE = re.compile(r"(?P<absent>!?)\s*(?P<key>[\w./-]+)")
CLAUSE = re.compile(r"(?:[^,(]|\([^)]*\))+")

FIELDS = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
"""The fields by which each resource can be selected, besides the name and the namespace."""


class SelectorError(ValueError):
    """A selector that cannot be parsed or names a field by which the resource cannot be selected."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One requirement: ``key`` In or NotIn ``values``, Exists, DoesNotExist."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy it. As in Kubernetes, NotIn is satisfied by a label that is not there."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        return (labels.get(self.key) in self.values) == (self.operator == "In")


def label_clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of ``labelSelector``, of which all have to hold."""
    return tuple(_clause(part.strip()) for part in CLAUSE.findall(text))


def object_clauses(selector: Mapping[str, Any]) -> tuple[Clause, ...]:
    """The clauses of a LabelSelector, as objects hold it."""
    equal = [Clause(key, "In", frozenset([value])) for key, value in selector.get("matchLabels", {}).items()]
    stated = selector.get("matchExpressions", [])
    return (*equal, *(Clause(item["key"], item["operator"], frozenset(item.get("values", ()))) for item in stated))


def field_clauses(resource: str, text: str) -> tuple[Clause, ...]:
    """The clauses of ``fieldSelector`` for a resource named by its plural."""
    clauses = tuple(_clause(part.strip()) for part in text.split(",") if part.strip())
    for clause in clauses:
        if clause.key not in ("metadata.name", "metadata.namespace", *FIELDS.get(resource, ())):
            raise SelectorError(f'field label not supported: "{clause.key}"')
        if clause.operator not in ("In", "NotIn"):
            raise SelectorError(f"invalid field selector: {text!r}")
    return clauses


def matches_fields(clauses: tuple[Clause, ...], document: Mapping[str, Any]) -> bool:
    """Whether the fields of an object satisfy all clauses; a field that is not there is the empty string."""
    return all(clause.accepts({clause.key: _value_at(document, clause.key)}) for clause in clauses)


def _clause(text: str) -> Clause:
    if found := REQUIREMENT.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Clause(found["key"], "In" if found["operator"] == "in" else "NotIn", values)
    if found := COMPARISON.fullmatch(text):
        return Clause(found["key"], "NotIn" if found["operator"] == "!=" else "In", frozenset([found["value"]]))
    if found := PRESENCE.fullmatch(text):
        return Clause(found["key"], "DoesNotExist" if found["absent"] else "Exists")
    raise SelectorError(f"unable to parse requirement: {text!r}")


def _value_at(document: Any, path: str) -> str:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, Mapping) else None
    if isinstance(document, bool):
        return str(document).lower()
    return "" if document is None else str(document)
