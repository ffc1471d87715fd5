"""
Bodies in protobuf, which clients in Go send of built-in kinds: those of Secrets and ConfigMaps, in which helm keeps
its releases, and the options of a deletion. Field numbers are those of ``generated.proto`` of ``k8s.io/api``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"


class MalformedMessageError(ValueError):
    """Bytes that are no message of a known kind."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message: its name, what it holds, and whether it holds several, or a map from strings."""

    name: str
    holds: str
    several: bool = False
    mapped: bool = False


MESSAGES: dict[str, dict[int, Field]] = {
    "Unknown": {
        1: Field("typeMeta", "TypeMeta"),
        2: Field("raw", "raw"),
        3: Field("contentEncoding", "string"),
        4: Field("contentType", "string"),
    },
    "TypeMeta": {1: Field("apiVersion", "string"), 2: Field("kind", "string")},
    "ObjectMeta": {
        1: Field("name", "string"),
        2: Field("generateName", "string"),
        3: Field("namespace", "string"),
        4: Field("selfLink", "string"),
        5: Field("uid", "string"),
        6: Field("resourceVersion", "string"),
        7: Field("generation", "number"),
        8: Field("creationTimestamp", "Time"),
        9: Field("deletionTimestamp", "Time"),
        10: Field("deletionGracePeriodSeconds", "number"),
        11: Field("labels", "string", mapped=True),
        12: Field("annotations", "string", mapped=True),
        14: Field("finalizers", "string", several=True),
    },
    "Time": {1: Field("seconds", "number")},
    "Secret": {
        1: Field("metadata", "ObjectMeta"),
        2: Field("data", "bytes", mapped=True),
        3: Field("type", "string"),
        4: Field("stringData", "string", mapped=True),
        5: Field("immutable", "truth"),
    },
    "ConfigMap": {
        1: Field("metadata", "ObjectMeta"),
        2: Field("data", "string", mapped=True),
        3: Field("binaryData", "bytes", mapped=True),
        4: Field("immutable", "truth"),
    },
    "DeleteOptions": {
        1: Field("gracePeriodSeconds", "number"),
        2: Field("preconditions", "Preconditions"),
        4: Field("propagationPolicy", "string"),
        5: Field("dryRun", "string", several=True),
    },
    "Preconditions": {1: Field("uid", "string"), 2: Field("resourceVersion", "string")},
}


def decoded(body: bytes) -> dict[str, Any]:
    """The object in a body, as its JSON would be."""
    if not body.startswith(MAGIC):
        raise MalformedMessageError("the body does not begin as a message of Kubernetes does")
    envelope = _message("Unknown", body.removeprefix(MAGIC))
    kind = envelope["typeMeta"].get("kind", "")
    if kind not in MESSAGES:
        raise MalformedMessageError(f"bodies of {kind or 'no kind'} are understood in JSON only")
    return {**envelope["typeMeta"], **_message(kind, envelope.get("raw", b""))}


def _message(kind: str, data: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for number, value in _fields(data):
        field = MESSAGES[kind].get(number)
        if field is None:
            raise MalformedMessageError(f"field {number} of {kind} is not known")
        if field.mapped:
            entry = dict(_fields(value))
            message.setdefault(field.name, {})[entry.get(1, b"").decode()] = _value(field.holds, entry.get(2, b""))
        elif field.several:
            message.setdefault(field.name, []).append(_value(field.holds, value))
        else:
            message[field.name] = _value(field.holds, value)
    return {name: value for name, value in message.items() if value not in ("", None)}


def _value(holds: str, value: Any) -> Any:
    match holds:
        case "string":
            return value.decode()
        case "bytes":
            return base64.b64encode(value).decode()
        case "raw" | "number":
            return value
        case "truth":
            return bool(value)
        case "Time":
            seconds = _message("Time", value).get("seconds")
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _message(holds, value)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields on the wire: numbers of varints, bytes of what has a length."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, place = _varint(data, place)
        match key & 7:
            case 0:
                yield key >> 3, number
            case 2 if place + number <= len(data):
                yield key >> 3, data[place : place + number]
                place += number
            case wire_type:
                raise MalformedMessageError(f"the message is cut off, or has wire type {wire_type}")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(data):
            raise MalformedMessageError("the message is cut off")
        value |= (data[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if data[place - 1] < 0x80:
            return value, place
