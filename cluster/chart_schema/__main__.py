"""``python -m cluster.chart_schema`` prints values.schema.json of the chart."""

from __future__ import annotations

import sys

from cluster.chart_schema.schema import as_json, values_schema

if __name__ == "__main__":
    sys.stdout.write(as_json(values_schema()))
