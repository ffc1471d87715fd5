"""What ``generation_config.json`` says of a request that states nothing, over what the family's own decoder does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dllm_worker import ranges
from dllm_worker.models.files import LoadError, read_optional
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.ranges import Range
from dllm_worker.request import CacheParameters, SamplingParameters

FILE = "generation_config.json"
CACHE = "cache"
LARGEST = 1e30


def read_generation(path: Path, reader: SpecReader) -> tuple[SamplingParameters, CacheParameters]:
    """The defaults of the checkpoint in ``path``; :class:`LoadError` names a value that is not of its field's kind.

    Fields are those of ``SamplingParameters``, the family's aliases of them and, in the object ``cache``, those of
    ``CacheParameters``. Other keys are transformers' own, and null says nothing.
    """
    file = path / FILE
    content = read_optional(file)
    sampling = {field.name: field.name for field in fields(SamplingParameters)} | dict(reader.aliases)
    cache = {f"{CACHE}.{field.name}": field.name for field in fields(CacheParameters)}
    return (
        replace(reader.sampling, **_stated(SamplingParameters, sampling, ranges.SAMPLING, content, file)),
        replace(reader.cache, **_stated(CacheParameters, cache, ranges.CACHE, content, file)),
    )


def _stated(
    kind: type[SamplingParameters] | type[CacheParameters],
    names: Mapping[str, str],
    allowed: Mapping[str, Range],
    content: Mapping[str, Any],
    file: Path,
) -> dict[str, Any]:
    """The fields of ``kind`` that ``content`` states; ``names`` are the fields by the keys that stand for them."""
    kinds, found = get_type_hints(kind), {}
    for key, name in names.items():
        value = _found(content, key, file)
        if value is None:
            continue
        found[name] = _of_kind(kinds[name], value, f"{file}: {key}")
        if name in allowed and not allowed[name].holds(value):
            raise LoadError(f"{file}: {key} is {value!r}; it has to be {allowed[name]}")
    return found


def _found(content: Mapping[str, Any], key: str, file: Path) -> Any:
    """The value of ``key``, which lies inside an object where there is a dot."""
    outer, _, inner = key.partition(".")
    value = content.get(outer)
    if not inner or value is None:
        return value
    if not isinstance(value, dict):
        raise LoadError(f"{file}: {outer} is {value!r}; it has to be an object")
    return value.get(inner)


def _of_kind(kind: Any, value: Any, what: str) -> Any:
    """``value`` if it is one of ``kind``; whole numbers are numbers, truth values are not."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise LoadError(f"{what} is {value!r}; there are {', '.join(get_args(kind))}")
    (wanted,) = {*(get_args(kind) if isinstance(kind, UnionType) else (kind,))} - {NoneType}
    if type(value) in ((int, float) if wanted is float else (wanted,)) and -LARGEST <= value <= LARGEST:
        return wanted(value)
    raise LoadError(f"{what} is {value!r}; it has to be of type {wanted.__name__}")
