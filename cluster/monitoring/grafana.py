"""Dashboards as Grafana 11 and later import them.

A panel says in its description what to do about what it shows; the data source and what to look at are variables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 39
WIDTH = 24
STAT_HEIGHT, CHART_HEIGHT = 4, 8
LABEL_VALUES = 1
"""Grafana's number for a variable that has the values of a label."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called. ``exemplars`` shows the recorded traces beside a histogram."""

    expression: str
    legend: str
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart, or the present values of a ``stat``. ``unit`` is one of Grafana's; ``most`` is the top of the scale."""

    title: str
    advice: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    stacked: bool = False
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What may be chosen: the values of the label ``name`` of ``metric``, all of them at first."""

    name: str
    metric: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels in rows; those of a row share its width."""

    slug: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[Panel, ...], ...]

    def as_json(self) -> str:
        """The file that Grafana imports."""
        model = {
            "uid": f"dllm-{self.slug}",
            "title": f"dLLM: {self.title}",
            "description": self.description,
            "tags": ["dllm"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "",
            "templating": {"list": [_datasource(), *map(_variable, self.variables)]},
            "links": [{"type": "dashboards", "title": "dLLM", "tags": ["dllm"], "asDropdown": True, "keepTime": True}],
            "panels": list(self._panels()),
        }
        return json.dumps(model, indent=2, ensure_ascii=False) + "\n"

    def _panels(self) -> Iterator[dict[str, Any]]:
        id, top = 0, 0
        for row in self.rows:
            height = STAT_HEIGHT if all(panel.kind == "stat" for panel in row) else CHART_HEIGHT
            width = WIDTH // len(row)
            for place, panel in enumerate(row):
                id += 1
                yield _panel(panel, id, {"x": place * width, "y": top, "w": width, "h": height})
            top += height


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.metric}, {variable.name})"
    asked = {"qryType": LABEL_VALUES, "metric": variable.metric, "label": variable.name, "query": query}
    return {
        "name": variable.name,
        "label": variable.name.title(),
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {**asked, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _panel(panel: Panel, id: int, place: dict[str, int]) -> dict[str, Any]:
    custom = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if panel.stacked else "none"}}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "timeseries":
        defaults["custom"] = custom
    return {
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.advice,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [_target(query, chr(ord("A") + number)) for number, query in enumerate(panel.queries)],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "textMode": "value_and_name"}
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(query: Query, ref: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "exemplar": query.exemplars,
        "range": True,
    }
