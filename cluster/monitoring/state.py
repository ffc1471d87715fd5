"""The state server, and what depends on it: limits and bills."""

from __future__ import annotations

from cluster.monitoring.grafana import Dashboard, Panel, Query
from cluster.monitoring.queries import highest, lowest, observed, per_second, quantile, ratio, total
from deployments.telemetry import names

_ALONE = 'mode!="shared"'

_HEALTH = (
    Panel(
        "State store answers",
        "1 when the last call of every process was answered. 0: see the alert; requests go on meanwhile as "
        "docs/operations.md tells.",
        "bool_yes_no",
        (Query(lowest(names.REDIS_UP), "all processes"),),
        kind="stat",
    ),
    Panel(
        "Counted by one gateway alone",
        "Share of reservations that were not counted by all gateways together. Above 0: the store was lost; limits are "
        "divided among the gateways.",
        "percentunit",
        (
            Query(
                ratio(
                    f"({per_second(names.LIMIT_DECISIONS, besides=_ALONE)} or vector(0))",
                    per_second(names.LIMIT_DECISIONS),
                ),
                "all limits",
            ),
        ),
        kind="stat",
        most=1,
    ),
    Panel(
        "Bills to write",
        "Ended requests whose ledger entry is not written. Rising: the store does not answer; 10,000 are kept by a "
        "gateway.",
        "short",
        (Query(total(names.LEDGER_PENDING), "all gateways"),),
        kind="stat",
    ),
    Panel(
        "Bills lost",
        "Answers that nobody will be billed for, in a second. Any: see the alert.",
        "none",
        (Query(per_second(names.LEDGER_DROPPED), "all gateways"),),
        kind="stat",
    ),
)
_STORE = (
    Panel(
        "Time of a call, 99 %",
        "By what it was for. All slow: the server or the network to it. One only: its keys have grown; look at the "
        "server's slow log.",
        "s",
        (Query(quantile(0.99, names.REDIS_LATENCY, "op"), "{{op}}", True),),
    ),
    Panel(
        "Time of a call, median",
        "Above a millisecond or two: the server is far away, or its machine is busy.",
        "s",
        (Query(quantile(0.5, names.REDIS_LATENCY, "op"), "{{op}}"),),
    ),
    Panel(
        "Calls",
        "By what they were for. Grows with requests and gateways; a jump without either is a defect.",
        "reqps",
        (Query(observed(names.REDIS_LATENCY, "op"), "{{op}}"),),
        stacked=True,
    ),
)
_LIMITS = (
    Panel(
        "Reservations by decision",
        "Admitted and refused, and who counted. Local: the store was lost.",
        "reqps",
        (Query(per_second(names.LIMIT_DECISIONS, "decision", "mode"), "{{decision}} {{mode}}"),),
        stacked=True,
    ),
    Panel(
        "Refused by limit",
        "Which limit decided. state is none of the tenant's: nothing could be counted, and so it was denied.",
        "reqps",
        (Query(per_second(names.LIMIT_DECISIONS, "limit", decision="refused"), "{{limit}}"),),
        stacked=True,
    ),
    Panel(
        "Bills to write, by gateway",
        "The highest of all gateways. One alone is behind: it cannot reach the store.",
        "short",
        (Query(highest(names.LEDGER_PENDING, "process"), "{{process}}"),),
    ),
    Panel(
        "Processes with metrics",
        "Gateways, replicas and controller that answered the last scrape, or failed to. One that fails for long is "
        "busy or hangs; its figures are missing everywhere else.",
        "short",
        (Query(highest(names.METRICS_PROCESSES, "state"), "{{state}}"),),
    ),
)

STATE = Dashboard(
    "redis-and-limits",
    "Redis and limits",
    "The state server, and what depends on it: limits and bills.",
    (),
    (_HEALTH, _STORE, _LIMITS),
)
