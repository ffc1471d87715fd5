"""What is told about metrics in files: tables, dashboards, rules and runbooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deployments.telemetry import names
from deployments.telemetry.metrics import Metric

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "dllm-cluster"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
ALERTS = sorted((CHART / "alerts").glob("*.yaml"))
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
TABLE = ROOT / "docs" / "metrics.md"
BY_NAME = {metric.name: metric for metric in names.ALL}
HISTOGRAM_ENDS = ("_bucket", "_sum", "_count")
OF_EACH_SERIES = frozenset({"process"})
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")
_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
_LABEL = re.compile(r"`(\w+)`(?: \(([^)]*)\))?")


@dataclass(frozen=True, slots=True)
class Row:
    """A metric in the table; its labels with the values that are named."""

    name: str
    kind: str
    labels: dict[str, frozenset[str]]
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a panel."""

    dashboard: str
    panel: str
    expression: str
    legend: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expression}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of Prometheus; ``annotations`` of an alert."""

    name: str
    expression: str
    is_alert: bool
    labels: dict[str, str]
    annotations: dict[str, str]


@cache
def rows() -> tuple[Row, ...]:
    """The rows of all tables."""
    found = []
    for name, kind, cell, meaning, advice in _ROW.findall(TABLE.read_text()):
        labels = {label: frozenset(filter(None, values.split(", "))) for label, values in _LABEL.findall(cell)}
        found.append(Row(name, kind, labels, meaning, advice))
    return tuple(found)


def panels(path: Path) -> Iterator[dict[str, Any]]:
    """The panels of a dashboard."""
    yield from json.loads(path.read_text())["panels"]


def variables() -> frozenset[tuple[str, str]]:
    """The variables of all dashboards: a label, and the metric whose values it may have."""
    written = (each for path in DASHBOARDS for each in json.loads(path.read_text())["templating"]["list"])
    return frozenset(
        (label, metric) for each in written for metric, label in _LABEL_VALUES.findall(each.get("definition", ""))
    )


@cache
def queries() -> tuple[Query, ...]:
    """The queries of all dashboards."""
    return tuple(
        Query(path.stem, panel["title"], target["expr"], target["legendFormat"])
        for path in DASHBOARDS
        for panel in panels(path)
        for target in panel["targets"]
    )


@cache
def rules() -> tuple[Rule, ...]:
    """All rules."""
    return tuple(
        Rule(
            rule.get("alert") or rule["record"],
            rule["expr"],
            "alert" in rule,
            rule.get("labels", {}),
            rule.get("annotations", {}),
        )
        for path in ALERTS
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    )


def alerts() -> tuple[Rule, ...]:
    """The rules that alert."""
    return tuple(rule for rule in rules() if rule.is_alert)


def records() -> tuple[Rule, ...]:
    """The rules that record."""
    return tuple(rule for rule in rules() if not rule.is_alert)


def expressions() -> tuple[str, ...]:
    """All PromQL that is shipped."""
    return (*(query.expression for query in queries()), *(rule.expression for rule in rules()))


def metric_of(series: str) -> Metric | None:
    """The metric whose series have the name ``series``; of a histogram none is called as itself."""
    found = BY_NAME.get(series)
    if found is not None:
        return None if found.kind == "histogram" else found
    for end in HISTOGRAM_ENDS:
        found = BY_NAME.get(series.removesuffix(end))
        if series.endswith(end) and found is not None and found.kind == "histogram":
            return found
    return None


def labels_of(series: str) -> frozenset[str]:
    """The labels of the series called ``series``. A recorded one has those in front of its first colon."""
    metric = metric_of(series)
    if metric is None:
        return frozenset(series.split(":")[0].split("_")) if ":" in series else frozenset()
    return OF_EACH_SERIES.union(metric.labels, {"le"} if series.endswith("_bucket") else ())
