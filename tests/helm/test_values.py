"""The values: each is read by a template, and each that a template reads is there."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.chart_schema.pods import WORKER
from tests.helm.chart import NAMES, VALUES, RenderError, helm, values_file
from tests.helm.documents import CHART

TEMPLATES = sorted((CHART / "templates").rglob("*.*"))
READ = re.compile(r"(?:\$root|\$)?\.Values((?:\.[A-Za-z]\w*)+)")
DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())

GROUP: dict[str, Any] = {
    "accelerator": "",
    "labels": {},
    "gpus": 0,
    "gpuResource": "",
    "minReplicas": 0,
    "maxReplicas": 0,
    "priority": 0,
    "idleTimeoutSeconds": 0,
    "runtimeClassName": "",
    "nodeSelector": {},
    "tolerations": [],
    "affinity": {},
    "annotations": {},
    "resources": {"requests": {"cpu": 0, "memory": ""}, "limits": {"cpu": 0, "memory": ""}},
}
"""A group of workers with every key that it may have."""

SWITCHES: dict[str, Any] = {
    "upgrade.strategy": "NewClusterWithIncrementalUpgrade",
    "ingress.controller": "nginx",
    "gateways.probe": "http",
}
"""Values of which only some are known, beside those that are true or false."""

EXTERNAL = {"externalRedis.url": "rediss://MARK", "gcs.externalRedis.address": "rediss://MARK"}
EMBEDDED = dict.fromkeys(("externalRedis.url", "gcs.externalRedis.address", "weights.hub.claim"), "")
TAGS = dict.fromkeys(
    ("image.digest", "valkey.image.digest", "collector.image.digest", "weights.objectStore.image.digest"), ""
)
ONE_COLLECTOR = {"collector.replicas": 1, "collector.tailSampling.enabled": True}
NO_SAMPLING = {"collector.tailSampling.enabled": False}

COMPUTED: list[tuple[str, Any]] = [
    ("gateways.startupSeconds", 10),
    ("ray.marginSeconds", 1),
    ("networkPolicy.apiServerPorts", [1]),
]
"""What objects hold a function of, with other values than the test gives them."""

LISTS: dict[str, list[Any]] = {
    "tolerations": [{"key": "MARK"}],
    "parentRefs": [{"name": "MARK"}],
    "tls": [{"secretName": "MARK"}],
    "topologySpread": [{"topologyKey": "MARK", "whenUnsatisfiable": "ScheduleAnyway"}],
}
"""What a list may hold that holds more than texts."""


def leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values that are no further mappings, and empty mappings."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def read_paths() -> set[tuple[str, ...]]:
    """The paths behind .Values in the templates, as far as they are spelled out."""
    text = "\n".join(template.read_text() for template in TEMPLATES)
    return {tuple(match[1:].split(".")) for match in READ.findall(text)}


@pytest.mark.parametrize("values", VALUES, ids=lambda values: "-".join(values) or "default")
def test_helm_finds_nothing_wrong(values: tuple[str, ...]) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), *(f"--values={values_file(v)}" for v in values))


def test_every_value_that_a_template_reads_has_a_default() -> None:
    for path in read_paths():
        node: Any = DEFAULTS
        for key in path:
            assert key in node, f".Values.{'.'.join(path)}"
            node = node[key]


def test_every_section_is_read() -> None:
    assert {path[0] for path in read_paths()} == set(DEFAULTS)


def test_every_file_of_values_is_known() -> None:
    assert sorted(path.stem for path in (CHART / "values").iterdir()) == sorted(NAMES)


def test_the_group_above_has_every_key_of_one() -> None:
    assert set(GROUP) == set(WORKER["properties"])


def marked(fixed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values with everything switched on and each of them told apart, and the marks by path."""
    base = copy.deepcopy(DEFAULTS) | {"workers": {"group": copy.deepcopy(GROUP)}}
    base["config"] = {"gateway": {"cpus": 1}, "models": [{"id": "a", "checkpoint": "b"}]}
    values: dict[str, Any] = {}
    marks: dict[str, str] = {}
    for number, (keys, value) in enumerate(leaves(base)):
        path = ".".join(keys)
        mark = str(40_000 + number) if isinstance(value, int | None) else f"mark{number}x"
        if path in fixed:
            value = fixed[path].replace("MARK", mark) if isinstance(fixed[path], str) else fixed[path]
            mark = mark if "MARK" in str(fixed[path]) else ""
        elif isinstance(value, bool) or keys[0] == "config":
            value, mark = value or isinstance(value, bool), ""
        else:
            value = _with_mark(keys[-1], value, mark)
        if mark:
            marks[path] = mark
        _put(values, keys, value)
    values["config"] = base["config"]
    values["config"]["gateway"]["replicas"] = values["gateways"]["replicas"]
    return values, marks


def _with_mark(key: str, value: Any, mark: str) -> Any:
    if isinstance(value, dict):
        return {mark: mark}
    if isinstance(value, list):
        return json.loads(json.dumps(LISTS.get(key, ["MARK"])).replace("MARK", mark))
    return int(mark) if isinstance(value, int | None) else mark


def _put(tree: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value


def rendered_as(values: Mapping[str, Any], directory: Path) -> str:
    """All objects, whatever the schema says of the marks."""
    file = directory / "values.yaml"
    file.write_text(json.dumps(values))
    return helm(
        "template", "release", str(CHART), f"--values={file}", "--set=workers.cpu=null", "--skip-schema-validation"
    )


def test_every_value_finds_its_way_into_an_object(tmp_path: Path) -> None:
    unseen: set[str] | None = None
    known = {path for path, _ in switches()}
    for fixed in (EXTERNAL | NO_SAMPLING, EMBEDDED | ONE_COLLECTOR, EMBEDDED | ONE_COLLECTOR | TAGS):
        values, marks = marked(SWITCHES | fixed)
        text = rendered_as(values, tmp_path)
        missing = {path for path, mark in marks.items() if mark not in text} | (fixed.keys() - marks.keys())
        unseen = missing if unseen is None else unseen & missing
    assert not (unseen or set()) - known


def switches() -> list[tuple[str, Any]]:
    """Each value of which only some are known, with another than the one that all are switched on with."""
    flags = [(".".join(keys), False) for keys, value in leaves(DEFAULTS) if isinstance(value, bool)]
    return [*flags, ("upgrade.strategy", "None"), ("ingress.controller", "none"), ("gateways.probe", "grpc"), *COMPUTED]


@pytest.fixture(scope="module")
def switched_on(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    values, _ = marked(
        SWITCHES | EMBEDDED | ONE_COLLECTOR | {"admin.existingSecret": "a", "valkey.existingSecret": "v"}
    )
    return values, rendered_as(values, tmp_path_factory.mktemp("on"))


@pytest.mark.parametrize(("path", "other"), [case for case in switches() if not case[0].startswith("config.")])
def test_every_switch_changes_an_object(
    path: str, other: Any, switched_on: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    values, text = copy.deepcopy(switched_on[0]), switched_on[1]
    _put(values, tuple(path.split(".")), other)
    assert _outcome(values, tmp_path) != text


def _outcome(values: Mapping[str, Any], directory: Path) -> str:
    try:
        return rendered_as(values, directory)
    except RenderError as refused:
        return str(refused)
