"""The sections of a configuration and their keys, as its JSON schema has them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]

_BOUNDS = (
    ("exclusiveMinimum", "above"),
    ("minimum", "at least"),
    ("exclusiveMaximum", "below"),
    ("maximum", "at most"),
)
_NAMES = {"date-time": "time", "password": "secret string"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section. ``section`` is the path of the section that its value is or that its entries are; of such a
    value the default is left to that section.
    """

    name: str
    kind: str
    default: str
    meaning: str
    section: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A section at its ``path``, where ``[]`` is an entry of a list. The root has the empty path."""

    path: str
    meaning: str
    keys: tuple[Key, ...]


def parts(kind: type[BaseModel]) -> Iterator[Part]:
    """The root, then each section behind the one that has it, in the order of the keys."""
    schema = kind.model_json_schema()
    yield from _parts("", schema, {}, schema["$defs"])


def paths(kind: type[BaseModel]) -> Iterator[str]:
    """The path of every key, as in ``models[].pools[].replicas``."""
    for part in parts(kind):
        yield from (f"{part.path}.{key.name}".lstrip(".") for key in part.keys)


def _parts(path: str, section: Schema, defaults: Schema, known: Schema) -> Iterator[Part]:
    """``defaults`` are those of the place where the section stands, which go before its own."""
    fields: Schema = section["properties"]
    below = {name: _section_of(field, known) for name, field in fields.items()}
    keys = tuple(
        Key(
            name,
            _kind(field, known),
            _default(name, field, section, defaults),
            _meaning(field, known),
            None if below[name] is None else _below(path, name, field),
        )
        for name, field in fields.items()
    )
    yield Part(path, _plain(section.get("description", "")), keys)
    for name, field in fields.items():
        inner = below[name]
        if inner is not None:
            inherited = defaults.get(name, field.get("default"))
            given = inherited if isinstance(inherited, Mapping) else {}
            yield from _parts(_below(path, name, field), inner, given, known)


def _below(path: str, name: str, field: Schema) -> str:
    here = f"{path}.{name}".lstrip(".")
    return f"{here}[]" if field.get("type") == "array" else here


def _section_of(field: Schema, known: Schema) -> Schema | None:
    """The section that a value of the field is, or an entry of it."""
    if "$ref" in field:
        named: Schema = known[field["$ref"].rpartition("/")[2]]
        return named if "properties" in named else None
    inner = [*field.get("anyOf", ()), *([field["items"]] if "items" in field else [])]
    return next((section for each in inner if (section := _section_of(each, known)) is not None), None)


def _kind(field: Schema, known: Schema) -> str:
    """What a value may be, in words."""
    if "$ref" in field:
        return "section"
    if "anyOf" in field:
        return ", or ".join(_kind(each, known) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        inner = _kind(field["items"], known)
        some = "one or several" if field.get("minItems") else "list"
        return f"{some} of {'sections' if inner == 'section' else inner}"
    if field["type"] == "object":
        return "map of strings"
    name = _NAMES.get(field.get("format", "")) or str(field["type"])
    return " ".join([name, " and ".join(_bounds(field))]).strip()


def _bounds(field: Schema) -> Iterator[str]:
    if "minimum" in field and "maximum" in field:
        yield f"from {field['minimum']} to {field['maximum']}"
        return
    yield from (f"{words} {field[name]}" for name, words in _BOUNDS if name in field)
    if "maxLength" in field:
        yield f"of at most {field['maxLength']} characters"
    if field.get("minLength", 0) > 1:
        yield f"of at least {field['minLength']} characters"
    if "pattern" in field:
        yield f"like `{field['pattern']}`"


def _default(name: str, field: Schema, section: Schema, defaults: Schema) -> str:
    if name in section.get("required", ()):
        return "required"
    value = defaults.get(name, field.get("default"))
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return ", ".join(f"`{entry.get('id', entry.get('name'))}`" for entry in value)
    if isinstance(value, Mapping) and value:
        return ""
    return f"`{json.dumps(_rounded(value), ensure_ascii=False)}`"


def _rounded(value: object) -> object:
    """Whole numbers without a fraction, as they are written by hand."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _meaning(field: Schema, known: Schema) -> str:
    section = _section_of(field, known)
    return _plain(field.get("description") or (section or {}).get("description", "").partition("\n\n")[0])


def _plain(text: str) -> str:
    """One line for each paragraph, with code as Markdown has it."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return "\n\n".join(re.sub(r"``(.+?)``", r"`\1`", paragraph) for paragraph in paragraphs)
