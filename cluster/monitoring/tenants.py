"""Who uses the cluster, and whether its tenants are treated fairly."""

from __future__ import annotations

from cluster.monitoring.grafana import Dashboard, Panel, Query, Variable
from cluster.monitoring.queries import highest, lowest, per_second, quantile, ratio, total
from deployments.telemetry import names

_USE = (
    Panel(
        "Work of tenants",
        "Work units in a second. One tenant has nearly all: that is fair while nobody else waits; else see the lag.",
        "none",
        (Query(per_second(names.TENANT_COST, "tenant"), "{{tenant}}"),),
        stacked=True,
    ),
    Panel(
        "Share of the work",
        "Of all work, by tenant. Compare with the weights of those who wait (dllm tenants list).",
        "percentunit",
        (
            Query(
                ratio(
                    per_second(names.TENANT_COST, "tenant"),
                    f"scalar(sum (rate({names.TENANT_COST.name}[$__rate_interval])))",
                ),
                "{{tenant}}",
            ),
        ),
        most=1,
    ),
    Panel(
        "Requests of tenants",
        "Ended requests. A jump of one tenant is the first thing to look at when the others wait.",
        "reqps",
        (Query(per_second(names.TENANT_REQUESTS, "tenant"), "{{tenant}}"),),
        stacked=True,
    ),
)
_TROUBLE = (
    Panel(
        "Not answered",
        "Requests of a tenant that did not end with an answer, by outcome. A tenant with many of one 4xx code has a "
        "program to mend: tell it.",
        "reqps",
        (
            Query(
                per_second(names.TENANT_REQUESTS, "tenant", "outcome", besides='outcome!="ok"'),
                "{{tenant}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Refused by limits",
        "Reservations that a limit refused. Steady: the tenant needs higher limits (dllm limits show TENANT) or less "
        "traffic.",
        "reqps",
        (Query(per_second(names.LIMIT_DECISIONS, "limit", decision="refused"), "{{limit}}"),),
    ),
    Panel(
        "Requests in the queue",
        "Who waits has less than it asks for. dllm queue shows each tenant's counter.",
        "short",
        (Query(total(names.QUEUE_DEPTH, "queue", "band"), "{{queue}} {{band}}"),),
        stacked=True,
    ),
)
_FAIRNESS = (
    Panel(
        "Fairness: lag",
        "How far two waiting tenants are apart, in work units per weight. Up to the cost of the largest requests is "
        "usual; growth over minutes is a defect.",
        "none",
        (Query(highest(names.FAIRNESS_MAX_LAG, "model", "queue"), "{{queue}}"),),
    ),
    Panel(
        "Fairness: Jain's index",
        "1 when those who wait had equal service per weight. Low for long: compare the counters of dllm queue.",
        "none",
        (Query(lowest(names.FAIRNESS_JAIN, "model", "queue"), "{{queue}}"),),
        most=1,
    ),
    Panel(
        "Wait for a turn, 95 %",
        "By queue and band. One queue only: the pools for its canvas sizes are too small.",
        "s",
        (Query(quantile(0.95, names.QUEUE_WAIT, "queue", "band"), "{{queue}} {{band}}"),),
    ),
)

TENANTS = Dashboard(
    "tenants",
    "tenants",
    "Who uses the cluster, who is refused, and whether those who wait are treated fairly.",
    (Variable("model", names.QUEUE_DEPTH.name), Variable("tenant", names.TENANT_REQUESTS.name)),
    (_USE, _TROUBLE, _FAIRNESS),
)
