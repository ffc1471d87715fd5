"""The three forms of patches: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

from tests.cluster.kubernetes.api_server.schema import Schema, resolve

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

DIRECTIVE = "$patch"
DELETED = "$deleteFromPrimitiveList/"
ORDERED = "$setElementOrder/"
RETAINED = "$retainKeys"
MISSING = object()


class PatchError(ValueError):
    """A patch that is well formed and cannot be applied to this document."""


class MalformedPatchError(ValueError):
    """A patch that is not one."""


def json_patch(document: Any, operations: Any) -> Any:
    """The document after all operations, or a PatchError and no change."""
    if not isinstance(operations, list) or not all(isinstance(item, dict) and "op" in item for item in operations):
        raise MalformedPatchError("a JSON patch is a list of operations")
    patched = copy.deepcopy(document)
    for operation in operations:
        patched = _operate(patched, operation)
    return patched


def merge_patch(document: Any, patch: Any) -> Any:
    """The document with the fields of the patch, without those which it sets to null."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def strategic_merge_patch(schema: Schema, document: Any, patch: Any) -> Any:
    """As ``merge_patch``, but lists whose schema names a merge key are merged item by item."""
    return _strategic(schema.root, document, patch)


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    name, tokens = operation["op"], _tokens(operation.get("path"))
    if name == "test":
        if _value_at(document, tokens) != operation.get("value"):
            raise PatchError(f"testing path {operation['path']} value failed")
        return document
    if name in ("move", "copy"):
        source = _tokens(operation.get("from"))
        value = copy.deepcopy(_value_at(document, source))
        return _add(_remove(document, source) if name == "move" else document, tokens, value)
    if name == "remove":
        return _remove(document, tokens)
    if name not in ("add", "replace") or "value" not in operation:
        raise MalformedPatchError(f"unsupported operation {name!r}")
    if name == "replace" and tokens:
        _value_at(document, tokens)
        if isinstance(_value_at(document, tokens[:-1]), list):
            document = _remove(document, tokens)
    return _add(document, tokens, copy.deepcopy(operation["value"]))


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise MalformedPatchError(f"not a JSON pointer: {pointer!r}")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _value_at(document: Any, tokens: list[str]) -> Any:
    for token in tokens:
        if isinstance(document, list):
            document = document[_index(document, token, len(document) - 1)]
        elif isinstance(document, dict) and token in document:
            document = document[token]
        else:
            raise PatchError(f"doc is missing path: /{'/'.join(tokens)}")
    return document


def _index(items: list[Any], token: str, last: int) -> int:
    if not token.isdecimal() or int(token) > last:
        raise PatchError(f"invalid index {token!r} of a list of {len(items)}")
    return int(token)


def _add(document: Any, tokens: list[str], value: Any) -> Any:
    if not tokens:
        return value
    parent, token = _value_at(document, tokens[:-1]), tokens[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if token == "-" else _index(parent, token, len(parent)), value)
    elif isinstance(parent, dict):
        parent[token] = value
    else:
        raise PatchError(f"doc is missing path: /{'/'.join(tokens)}")
    return document


def _remove(document: Any, tokens: list[str]) -> Any:
    _value_at(document, tokens)
    parent, token = _value_at(document, tokens[:-1]), tokens[-1]
    parent.pop(int(token) if isinstance(parent, list) else token)
    return document


def _strategic(node: Any, document: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get(DIRECTIVE) == "replace":
        return {name: value for name, value in patch.items() if name != DIRECTIVE}
    merged = dict(document) if isinstance(document, dict) else {}
    if RETAINED in patch:
        merged = {name: value for name, value in merged.items() if name in patch[RETAINED]}
    fields = resolve(node)
    for name, value in patch.items():
        if name == RETAINED or name.startswith(ORDERED):
            continue
        if name.startswith(DELETED):
            field = name.removeprefix(DELETED)
            merged[field] = [item for item in merged.get(field, []) if item not in value]
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged_field(_field(fields, name), merged.get(name), value)
    for name, order in patch.items():
        if name.startswith(ORDERED):
            _order(_field(fields, name.removeprefix(ORDERED)), merged, name.removeprefix(ORDERED), order)
    return merged


def _field(fields: Any, name: str) -> Any:
    return fields.get("properties", {}).get(name) or fields.get("additionalProperties") or {}


def _merged_field(node: Any, old: Any, patch: Any) -> Any:
    if not isinstance(patch, list) or not _merges(node):
        return _strategic(node, old, patch)
    key, items = node.get("x-kubernetes-patch-merge-key"), resolve(node).get("items", {})
    if key is None:
        return [*(old or []), *(item for item in patch if item not in (old or []))]
    merged = list(old or [])
    for item in patch:
        if item.get(DIRECTIVE) == "replace":
            return [other for other in patch if DIRECTIVE not in other]
        if key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {key}")
        place = next((i for i, other in enumerate(merged) if other.get(key) == item[key]), None)
        if item.get(DIRECTIVE) == "delete":
            merged = [other for other in merged if other.get(key) != item[key]]
        elif place is None:
            merged.append(_strategic(items, {}, item))
        else:
            merged[place] = _strategic(items, merged[place], item)
    return merged


def _merges(node: Any) -> bool:
    return "merge" in str(node.get("x-kubernetes-patch-strategy", "")).split(",")


def _order(node: Any, merged: dict[str, Any], name: str, order: list[Any]) -> None:
    """Puts the items that the patch names into its order; the others stay behind them."""
    key = node.get("x-kubernetes-patch-merge-key")
    ranks = [item[key] if key else item for item in order]

    def rank(item: Any) -> int:
        known = item.get(key) if key else item
        return ranks.index(known) if known in ranks else len(ranks)

    if isinstance(merged.get(name), list):
        merged[name] = sorted(merged[name], key=rank)
