"""The configuration of the cluster as JSON Schema, as the chart takes it under ``config``.

Of the typed configuration the structure is there: keys, types, bounds and patterns. What its validators say beyond
that, such as that pools leave no gap, is refused when the cluster reads it.
"""

from __future__ import annotations

from typing import Any

from deployments.config import ClusterConfig

Schema = dict[str, Any]

REFERENCE = "#/definitions/{model}"
_DROPPED = {"title", "default", "format", "writeOnly"}
"""What refuses nothing. The defaults are those of the typed configuration, whatever the schema says."""

_INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
"""What the format ``date-time`` means, which most validators do not check."""

_NOT_A_SECRET: Schema = {"type": "null"}
_WITH_PASSWORD: Schema = {"pattern": "^[^:]+://[^/?]*:[^/?@]*@"}


def configuration() -> tuple[Schema, dict[str, Schema]]:
    """The schema of the whole, and the definitions that it refers to.

    Secrets are left out: in values they would be stored with the release, so they are given by reference.
    """
    whole = ClusterConfig.model_json_schema(ref_template=REFERENCE)
    definitions = whole.pop("$defs")
    definitions["AdminConfig"]["properties"]["key"] = _NOT_A_SECRET
    definitions["KeyConfig"]["properties"]["key"] = _NOT_A_SECRET
    definitions["StateConfig"]["properties"]["url"]["not"] = _WITH_PASSWORD
    return _plain(whole), {name: _plain(section) for name, section in sorted(definitions.items())}


def _plain(section: Schema) -> Schema:
    """``section``, an object with properties, without what no check needs."""
    kept = {key: value for key, value in section.items() if key not in _DROPPED | {"description", "properties"}}
    return kept | {"properties": {name: _without(value) for name, value in section["properties"].items()}}


def _without(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    pattern = {"pattern": _INSTANT} if schema.get("format") == "date-time" else {}
    return {key: _without(value) for key, value in schema.items() if key not in _DROPPED} | pattern
