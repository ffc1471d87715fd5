"""The schema of all values."""

from __future__ import annotations

import json

from cluster.chart_schema.configuration import configuration
from cluster.chart_schema.terms import OBJECT, Schema, section
from cluster.chart_schema.values import VALUES

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest that every Helm from version 3 on knows."""


def values_schema() -> Schema:
    """The whole, as Helm reads it beside the chart."""
    config, definitions = configuration()
    values = section(**VALUES, config=config, **{"global": OBJECT})
    return {"$schema": DRAFT, "title": "Values of dllm-cluster", **values, "definitions": definitions}


def as_json(schema: Schema) -> str:
    """The text of the file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
