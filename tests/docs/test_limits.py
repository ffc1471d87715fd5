"""Each limit is the one that the code or the configuration has, and ends as the table of errors says."""

from __future__ import annotations

import dataclasses
import re
from importlib import import_module
from typing import Any

import pytest

from cluster.reference.schema import parts
from deployments.config import ClusterConfig
from deployments.gateway.responses.body import ResponsesBody
from deployments.gateway.schema import ChatBody, CompletionBody, InfillBody
from tests.deployments.test_errors import every_error
from tests.docs.pages import codes_in, page, rows

PAGE = page("docs/limits.md")
LIMITS = [row for row in rows(PAGE.text) if len(row) == 4]
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "min": 60, "h": 3600, "s": 1, "ms": 1, "tokens": 1, "": 1}
WORDS = {"none": None, "a day": 86_400, "the model's context": "model"}
BODIES = {
    body.__name__: body.model_json_schema(mode="serialization")
    for body in (ChatBody, CompletionBody, InfillBody, ResponsesBody)
}
KEYS = {f"{part.path}.{key.name}".lstrip("."): key.default for part in parts(ClusterConfig) for key in part.keys}


def told(cell: str) -> object:
    """The number that a cell states."""
    if cell in WORDS:
        return WORDS[cell]
    number, _, unit = cell.replace(",", "").partition(" ")
    return int(number) * UNITS[unit]


def held(source: str) -> object:
    """The number at its source: a key of the configuration, a field of a body, or a name in a module."""
    if source in KEYS:
        default = KEYS[source].strip("`")
        return None if default == "null" else float(default)
    owner, *path = source.split(".")
    return _in_schema(BODIES[owner], ["properties", *path]) if owner in BODIES else _in_module(source)


def _in_schema(schema: Any, path: list[str]) -> object:
    for name in path:
        if name not in schema:
            schema = next(branch for branch in schema["anyOf"] if name in branch)
        schema = schema[name]
    return schema


def _in_module(source: str) -> object:
    place, _, name = source.rpartition(".")
    try:
        return getattr(import_module(place), name)
    except ModuleNotFoundError:
        module, _, owner = place.rpartition(".")
        fields = dataclasses.fields(getattr(import_module(module), owner))
        return next(field.default for field in fields if field.name == name)


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_a_limit_is_the_one_that_there_is(row: list[str]) -> None:
    _, default, sources, _ = row
    expected = told(default)
    if expected != "model":
        assert {source: held(source) for source in codes_in(sources)} == dict.fromkeys(codes_in(sources), expected)


@pytest.mark.parametrize("row", LIMITS, ids=lambda row: row[0])
def test_who_reaches_it_is_told_an_error_that_there_is(row: list[str]) -> None:
    statuses = {kind.code: kind.status for kind in every_error()}
    for status, code in re.findall(r"(\d{3}) `(\w+)`", row[3]):
        assert statuses[code] == int(status)


def test_every_limit_of_a_tenant_is_there() -> None:
    limits = {key for key in KEYS if key.startswith("tenants[].limits.")}
    assert limits <= {source for row in LIMITS for source in codes_in(row[2])}
