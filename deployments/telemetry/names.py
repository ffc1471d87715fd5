"""Every name that the cluster measures under."""

from __future__ import annotations

from deployments.telemetry.metrics import Metric

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

LIMIT_DECISIONS = Metric(
    "dllm_limit_decisions_total",
    "counter",
    "Reservations by the limit that decided, the decision and who counted: all gateways or this one alone.",
    ("limit", "decision", "mode"),
)
QUEUE_DEPTH = Metric("dllm_queue_depth", "gauge", "Requests that wait for their turn.", ("model", "band"))
QUEUE_WAIT = Metric(
    "dllm_queue_wait_seconds", "histogram", "Time from acceptance to the turn.", ("model", "band"), SECONDS
)
FAIRNESS_MAX_LAG = Metric(
    "dllm_fairness_max_lag_units",
    "gauge",
    "How far the counters of two backlogged tenants are apart, in work units per weight.",
    ("model",),
)
FAIRNESS_JAIN = Metric(
    "dllm_fairness_jain_index", "gauge", "Jain's index of the backlogged tenants' service per weight.", ("model",)
)
LEDGER_PENDING = Metric("dllm_ledger_pending", "gauge", "Ended requests whose ledger entry is not written yet.")
LEDGER_DROPPED = Metric(
    "dllm_ledger_dropped_total", "counter", "Ended requests that a gateway ceased to keep before they were billed."
)
