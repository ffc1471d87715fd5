"""
Schemas of objects: what is wrong with one, which of its fields are unknown, and which have a default.

Built-in kinds have the OpenAPI definitions of Kubernetes 1.37, custom ones the structural schema of their definition.
The rules in CEL (``x-kubernetes-validations``) are not evaluated, and built-in kinds are not defaulted.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

DEFINITIONS_FILE = "kubernetes-json-schema/v1.37.0-local/_definitions.json"
REFERENCE = "#/$defs/"
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"
TIME_FORMATS = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "micro-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)"),
}
DECODED_FORMATS = (*TIME_FORMATS, "byte")
INTEGER_BITS = {"int32": 32, "int64": 64}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A field whose value its schema refuses. ``decoding`` marks one that does not even become of the field's type."""

    field: str
    reason: str
    message: str
    decoding: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of one kind. A ``structural`` one knows every field that it does not say to preserve."""

    root: Node
    structural: bool

    def admit(self, document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """``document`` as it is stored, without nulls and unknown fields, with defaults; and the unknown fields."""
        unknown: list[str] = []
        admitted = self._admit(self.root, document, "", unknown)
        return admitted, unknown

    def problems(self, document: dict[str, Any]) -> list[Problem]:
        """What is wrong with an admitted document, in the order of the schema."""
        return list(self._problems(self.root, document, ""))

    def node_at(self, node: Node, name: str) -> Node:
        """The schema of the field ``name`` of an object, or an empty one."""
        resolved = resolve(node)
        found: Node = resolved.get("properties", {}).get(name) or resolved.get("additionalProperties") or {}
        return found

    def _admit(self, node: Node, value: Any, path: str, unknown: list[str]) -> Any:
        node = resolve(node)
        if isinstance(value, list) and "items" in node:
            return [self._admit(node["items"], item, f"{path}[{i}]", unknown) for i, item in enumerate(value)]
        if not isinstance(value, dict) or self._is_free(node):
            return value
        properties: Node = node.get("properties", {})
        others = node.get("additionalProperties")
        preserving = node.get("x-kubernetes-preserve-unknown-fields") or others is True
        admitted: dict[str, Any] = {}
        for name, item in value.items():
            child = properties.get(name, others or None)
            where = _join(path, name)
            if isinstance(child, Mapping):
                if item is not None or resolve(child).get("nullable") or self._keeps_null(child):
                    admitted[name] = self._admit(child, item, where, unknown)
            elif preserving:
                admitted[name] = item
            else:
                unknown.append(where)
        for name, child in properties.items():
            if name not in admitted and "default" in child and self.structural:
                admitted[name] = self._admit(child, copy.deepcopy(child["default"]), _join(path, name), unknown)
        return admitted

    def _keeps_null(self, node: Node) -> bool:
        """A null for a field of a custom kind is a value of the wrong type, unless the default takes its place."""
        return self.structural and "default" not in node and "$ref" not in node

    def _is_free(self, node: Node) -> bool:
        """Whether any field is taken: objects without named ones, which structural schemas empty instead."""
        return not self.structural and "properties" not in node and "additionalProperties" not in node

    def _problems(self, node: Node, value: Any, path: str) -> Iterator[Problem]:
        node = resolve(node)
        if value is None and node.get("nullable"):
            return
        wrong = _wrong_type(node, value, path)
        if wrong is not None:
            yield wrong
            return
        yield from _wrong_value(node, value, path)
        if isinstance(value, list):
            for i, item in enumerate(value):
                yield from self._problems(node.get("items", {}), item, f"{path}[{i}]")
        elif isinstance(value, dict):
            for name in node.get("required", ()):
                if name not in value:
                    yield Problem(_join(path, name), "FieldValueRequired", "Required value")
            for name, item in value.items():
                yield from self._problems(self.node_at(node, name), item, _join(path, name))


def structural_schema(document: Node) -> Schema:
    """The schema of a custom kind from its definition's ``openAPIV3Schema``."""
    properties = {**document.get("properties", {}), "metadata": {"$ref": REFERENCE + METADATA}}
    for name in ("apiVersion", "kind"):
        properties[name] = {"type": "string"}
    return Schema({**document, "properties": properties}, structural=True)


def built_in_schema(api_version: str, kind: str) -> Schema:
    """The schema of a built-in kind. An unknown kind is a KeyError."""
    return Schema({"$ref": REFERENCE + _built_in_names()[api_version, kind]}, structural=False)


def resolve(node: Node) -> Node:
    """``node``, or the definition to which it refers."""
    reference = node.get("$ref")
    if reference is None:
        return node
    name = reference.removeprefix(REFERENCE)
    return {"type": "string", "format": "micro-time"} if name == MICRO_TIME else resolve(definitions()[name])


@cache
def definitions() -> dict[str, Node]:
    """The OpenAPI definitions of the built-in kinds by name."""
    text = resources.files("kubernetes_validate").joinpath(DEFINITIONS_FILE).read_text()
    found: dict[str, Node] = json.loads(text)["$defs"]
    return found


@cache
def _built_in_names() -> dict[tuple[str, str], str]:
    names = {}
    for name, definition in definitions().items():
        for known in definition.get("x-kubernetes-group-version-kind", ()):
            prefix = f"{known['group']}/" if known["group"] else ""
            names[prefix + known["version"], known["kind"]] = name
    return names


def _wrong_type(node: Node, value: Any, path: str) -> Problem | None:
    if "oneOf" in node or node.get("x-kubernetes-int-or-string"):
        names = ["string", "number" if node.get("oneOf") and "number" in json.dumps(node["oneOf"]) else "integer"]
    else:
        stated = node.get("type", [])
        names = [name for name in ([stated] if isinstance(stated, str) else stated) if name != "null"]
    if not names or any(_is_of(name, value) for name in names):
        return None
    told = "null" if value is None else next(name for name in TYPES if _is_of(name, value))
    message = f'Invalid value: "{told}": {path} in body must be of type {names[-1]}: "{told}"'
    return Problem(path, "FieldValueTypeInvalid", message, decoding=True)


def _is_of(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[name])


def _wrong_value(node: Node, value: Any, path: str) -> Iterator[Problem]:
    if "enum" in node and value not in node["enum"]:
        supported = ", ".join(json.dumps(choice) for choice in node["enum"])
        told = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        yield Problem(path, "FieldValueNotSupported", told)
    refusal = _refusal(node, value)
    if refusal is not None:
        told = f"Invalid value: {json.dumps(value)}: {path} in body {refusal}"
        yield Problem(path, "FieldValueInvalid", told, decoding=node.get("format") in DECODED_FORMATS)


def _refusal(node: Node, value: Any) -> str | None:
    """Why a value of the right type is out of what the schema allows."""
    form = node.get("format")
    if isinstance(value, str):
        return _string_refusal(node, form, value)
    if isinstance(value, list) and not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
        return "should have an allowed number of items"
    if isinstance(value, int | float) and not isinstance(value, bool):
        bits = INTEGER_BITS.get(form or "")
        if bits and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            return f"must be of type {form}"
        if not node.get("minimum", value) <= value <= node.get("maximum", value):
            return f"should be between {node.get('minimum')} and {node.get('maximum')}"
    return None


def _string_refusal(node: Node, form: str | None, value: str) -> str | None:
    if form in TIME_FORMATS and not TIME_FORMATS[form].fullmatch(value):
        return f"must be of type {form}"
    if form == "byte" and not _is_base64(value):
        return "must be of type byte"
    if not node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value)):
        return "should have an allowed length"
    if "pattern" in node and not re.search(node["pattern"], value):
        return f"should match '{node['pattern']}'"
    return None


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        return False
    return True


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
