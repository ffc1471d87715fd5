"""The words that the schema of values is written in."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
PERCENTAGE: Schema = {"type": "integer", "minimum": 0, "maximum": 100}

NAME: Schema = {"type": "string", "pattern": r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"}
"""Of an object of Kubernetes, or empty."""

PATH: Schema = {"type": "string", "pattern": "^/"}
DURATION: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
QUANTITY: Schema = {
    "type": ["string", "number"],
    "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$",
    "minimum": 0,
}
"""Of Kubernetes: 2, 500m, 64Gi."""

OBJECT: Schema = {"type": "object"}
"""As Kubernetes has it, which checks it."""


def section(**keys: Schema) -> Schema:
    """An object that has no other key than these."""
    return {"type": "object", "additionalProperties": False, "properties": keys}


def mapping(value: Schema, key: str | None = None) -> Schema:
    """An object with any keys, or with those of the pattern ``key``."""
    of_keys = {} if key is None else {"propertyNames": {"pattern": key}}
    return {"type": "object", "additionalProperties": value, **of_keys}


def each(item: Schema, least: int = 0) -> Schema:
    """A list of at least so many."""
    return {"type": "array", "items": item, **({"minItems": least} if least else {})}


def one_of(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def or_none(schema: Schema) -> Schema:
    """What ``schema`` takes, or null."""
    return {"anyOf": [schema, {"type": "null"}]}
