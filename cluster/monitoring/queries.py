"""PromQL over the metrics of :mod:`deployments.telemetry.names`, as the panels of a dashboard need it.

Each query keeps to what the dashboard's variables select, by those of its metric's labels that a variable is for.
"""

from __future__ import annotations

from deployments.telemetry.metrics import Metric

VARIABLES = {
    "model": "$model",
    "gen_ai_request_model": "$model",
    "pool": "$pool",
    "tenant": "$tenant",
}
"""The variable that selects by a label."""


def per_second(metric: Metric, *by: str, besides: str = "", **only: str) -> str:
    """What is added to a counter in a second. ``besides`` is a matcher as PromQL has it."""
    return _sum(by, f"rate({_selected(metric, metric.name, only, besides)}[$__rate_interval])")


def total(metric: Metric, *by: str, **only: str) -> str:
    """The sum of a gauge over all processes."""
    return _sum(by, _selected(metric, metric.name, only))


def highest(metric: Metric, *by: str, **only: str) -> str:
    """The highest value of a gauge among all processes."""
    return f"max{_by(by)} ({_selected(metric, metric.name, only)})"


def lowest(metric: Metric, *by: str) -> str:
    """The lowest value of a gauge among all processes."""
    return f"min{_by(by)} ({_selected(metric, metric.name, {})})"


def average(metric: Metric, *by: str) -> str:
    """The mean value of a gauge over all processes."""
    return f"avg{_by(by)} ({_selected(metric, metric.name, {})})"


def mean(metric: Metric, *by: str) -> str:
    """The mean of what was observed in a histogram."""
    total, count = (f"rate({_selected(metric, metric.name + end, {})}[$__rate_interval])" for end in ("_sum", "_count"))
    return ratio(_sum(by, total), _sum(by, count))


def ratio(part: str, whole: str) -> str:
    """One query over the other, for the labels that they have in common."""
    return f"{part} / {whole}"


def quantile(share: float, metric: Metric, *by: str) -> str:
    """The value that ``share`` of what was observed in a histogram stays below."""
    rate = f"rate({_selected(metric, metric.name + '_bucket', {})}[$__rate_interval])"
    return f"histogram_quantile({share}, {_sum((*by, 'le'), rate)})"


def observed(metric: Metric, *by: str) -> str:
    """How often a histogram was observed in a second."""
    return _sum(by, f"rate({_selected(metric, metric.name + '_count', {})}[$__rate_interval])")


def _sum(by: tuple[str, ...], vector: str) -> str:
    return f"sum{_by(by)} ({vector})"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _selected(metric: Metric, name: str, only: dict[str, str], besides: str = "") -> str:
    matchers = [f'{label}=~"{VARIABLES[label]}"' for label in metric.labels if label in VARIABLES]
    matchers += [f'{label}="{value}"' for label, value in only.items()]
    matchers += [besides] * bool(besides)
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name
