from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from pydantic import ValidationError

from cluster.chart_schema.schema import as_json, values_schema
from deployments.config import ClusterConfig
from tests.helm.chart import VALUES, RenderError, render, values_file
from tests.helm.documents import CHART

FILE = CHART / "values.schema.json"
SCHEMA = values_schema()
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
VALIDATOR = jsonschema_rs.Draft7Validator(SCHEMA)

FULL = ClusterConfig.model_validate(
    {
        "keys": [{"tenant": "acme", "id": "a1b2c3d4", "sha256": "0" * 64}],
        "tenants": [{"name": "acme", "models": ["m"], "quality_floor": "low"}],
        "models": [
            {
                "id": "m",
                "checkpoint": "embedded:tiny-code",
                "device": "simulated",
                "simulation": {},
                "pools": [
                    {
                        "canvas": {"most": 64},
                        "max_replicas": 2,
                        "scaling": {"schedule": [{"replicas": 1, "start": "07:00", "end": "19:00"}]},
                    }
                ],
            }
        ],
        "telemetry": {"traces": {"exporter": "otlp", "endpoint": "http://collector:4317", "protocol": "grpc"}},
        "state": {"url": "redis://state:6379/0"},
    }
).model_dump(mode="json")
"""A configuration in which every key is given."""

GIVEN_OTHERWISE = {("admin", "key"), ("keys", 0, "key"), ("state", "url")}
"""Where the schema refuses what the configuration takes: secrets in values are stored with the release."""

BEYOND_STRUCTURE = (
    "a key is given as key, or as id and sha256",
    "autoscaling.history_seconds: a pool's scaling looks back",
    "endpoint and protocol belong to exporter otlp",
    "expected embedded, or a redis, rediss, redis+sentinel or redis+cluster URL",
    "file belongs to exporter file, and the exporter needs it",
    "least is ",
    "max_replicas has to be at least replicas",
    "pools: no pool serves a canvas of ",
    "scaling needs max_replicas",
    "simulation belongs to device simulated, and the device needs it",
    "stall_seconds has to be at least twice heartbeat_seconds",
)
"""What one change can break that a schema cannot say: beginnings of what the validators of the configuration answer."""

ODD: tuple[Any, ...] = (None, True, "", "x", "-", -1, 0, 3, 1.5, 10**7, [], {}, ["x"], {"x": 1})


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a tree."""
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(tree[key], (*path, key))


def config_is_valid(tree: Any) -> bool:
    return VALIDATOR.is_valid({"config": tree})


def faults(tree: Any) -> list[tuple[str, str]]:
    """What the typed configuration refuses: the type of each fault, and its words."""
    try:
        ClusterConfig.model_validate(tree)
    except ValidationError as error:
        return [(fault["type"], fault["msg"]) for fault in error.errors()]
    return []


def mutations() -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place of a configuration, with a configuration in which that is something else, missing, or joined by an
    unknown key.
    """
    for path in places(FULL):
        for change in (*ODD, "missing", "unknown"):
            tree = deepcopy(FULL)
            holder: Any = tree
            for key in path[:-1]:
                holder = holder[key]
            if change == "missing":
                del holder[path[-1]]
            elif change == "unknown" and isinstance(holder, dict):
                holder["unknown"] = 1
            else:
                holder[path[-1]] = change
            yield path, tree


def test_the_file_is_what_the_program_writes() -> None:
    assert FILE.read_text() == as_json(SCHEMA), "python -m cluster.chart_schema > helm/dllm-cluster/values.schema.json"


def test_the_schema_is_one() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)


def test_the_whole_configuration_is_valid() -> None:
    assert config_is_valid(FULL)
    assert faults(FULL) == []


def test_the_schema_refuses_what_the_typed_configuration_refuses_by_structure() -> None:
    heard = set[str]()
    for path, tree in mutations():
        refused = faults(tree)
        if config_is_valid(tree):
            assert all(kind == "value_error" for kind, _ in refused), (path, refused)
            heard.update(words.removeprefix("Value error, ") for _, words in refused)
        else:
            assert refused or path in GIVEN_OTHERWISE, path
    beginnings = {next(part for part in (*BEYOND_STRUCTURE, words) if words.startswith(part)) for words in heard}
    assert beginnings == set(BEYOND_STRUCTURE)


@pytest.mark.parametrize(
    "config",
    [
        {"admin": {"key": "k" * 16}},
        {"keys": [{"tenant": "acme", "key": "dllm_live_a1b2c3d4_x"}]},
        {"state": {"url": "redis://user:password@host:6379/0"}},
        {"state": {"url": "redis://:password@host:6379/0"}},
    ],
)
def test_a_secret_in_values_is_refused(config: Any) -> None:
    assert not config_is_valid(config)


def test_a_secret_by_reference_is_taken() -> None:
    assert config_is_valid({"state": {"url": "redis://user@host:6379/0?password=/run/secrets/state"}})
    assert config_is_valid({"keys": [{"tenant": "a", "id": "a1b2c3d4", "expires_at": "2027-01-01T00:00:00Z"}]})
    assert not config_is_valid({"keys": [{"tenant": "a", "id": "a1b2c3d4", "expires_at": "in a year"}]})


def schema_keys(schema: Any, path: str = "") -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield f"{path}{key}"
        yield from schema_keys(inner, f"{path}{key}.")


def value_keys(schema: Any, values: Any, path: str = "") -> Iterator[str]:
    """The keys of values, down to where the schema leaves the names to the user."""
    for key, inner in values.items() if isinstance(values, dict) else ():
        known = schema.get("properties", {})
        if known:
            yield f"{path}{key}"
            yield from value_keys(known.get(key, {}), inner, f"{path}{key}.")


def test_the_chart_has_a_default_for_every_key_and_no_other() -> None:
    own = {"properties": {key: inner for key, inner in SCHEMA["properties"].items() if key not in {"config", "global"}}}
    given = {key: value for key, value in DEFAULTS.items() if key != "config"}
    assert set(schema_keys(own)) == set(value_keys(own, given))


def objects_of(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            yield schema
        for inner in schema.values():
            yield from objects_of(inner)


def test_every_section_refuses_unknown_keys() -> None:
    assert all(section.get("additionalProperties") is False for section in objects_of(SCHEMA))


@pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")
def test_the_values_files_are_valid(values: tuple[str, ...]) -> None:
    tree = yaml.safe_load(values_file(values[0]).read_text()) if values else DEFAULTS
    given = {key: value for key, value in tree.items() if key != "workers"}
    given["workers"] = {name: group for name, group in tree.get("workers", {}).items() if group is not None}
    assert [error.message for error in VALIDATOR.iter_errors(given)] == []


REFUSED: dict[str, tuple[Any, str]] = {
    "networkPolicies": ({"enabled": True}, "'networkPolicies' not allowed"),
    "gateways.replicaz": (2, "'replicaz' not allowed"),
    "gateways.replicas": ("two", "/gateways/replicas"),
    "gateways.probe": ("tcp", "/gateways/probe"),
    "config.http.prt": (80, "'prt' not allowed"),
    "config.http.port": ("80", "/config/http/port"),
    "config.models": ([{"id": "m"}], "/config/models/0': missing property 'checkpoint'"),
    "image.tag": ("latest", "/image/tag"),
    "image.digest": ("sha256:12", "/image/digest"),
    "workers.l4": ({"minReplicas": 1, "maxReplicas": 1}, "/workers/l4': missing property 'resources'"),
    "head.resources.limits.memory": ("4 GB", "/head/resources/limits/memory"),
    "externalRedis.url": ("redis://user:password@host", "/externalRedis/url"),
    "monitoring.interval": ("ten seconds", "/monitoring/interval"),
    "collector.image.pullPolicy": ("Sometimes", "/collector/image/pullPolicy"),
    "networkPolicy.clients": ([{"podSelectr": {}}], "'podSelectr' not allowed"),
}
"""Values, and what helm says of each."""


def test_helm_refuses_by_its_path_what_the_schema_refuses() -> None:
    with pytest.raises(RenderError, match="don't meet the specifications of the schema") as refused:
        render(**{path.replace(".", "__"): json.dumps(value) for path, (value, _) in REFUSED.items()})
    assert [told for _, told in REFUSED.values() if told not in str(refused.value)] == []


def repeated(node: yaml.Node | None) -> Iterator[str]:
    """The keys that a mapping has twice; YAML would keep the last one."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        yield from {key for key in keys if keys.count(key) > 1}
        for _, value in node.value:
            yield from repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from repeated(item)


@pytest.mark.parametrize(
    "path", [CHART / "values.yaml", *sorted((CHART / "values").glob("*.yaml"))], ids=lambda path: path.stem
)
def test_no_key_of_a_values_file_is_given_twice(path: Path) -> None:
    assert list(repeated(yaml.compose(path.read_text()))) == []
