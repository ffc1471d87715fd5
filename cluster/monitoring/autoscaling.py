"""Why a pool has as many replicas as it has."""

from __future__ import annotations

from cluster.monitoring.grafana import Dashboard, Panel, Query, Variable
from cluster.monitoring.queries import average, highest, lowest, per_second, total
from deployments.telemetry import names

_OUTCOME = (
    Panel(
        "Replicas",
        "Running and wanted. Wanted above running for minutes: the nodes lack room, or replicas do not start; dllm "
        "autoscale explain and the log of the pool say more.",
        "short",
        (Query(highest(names.REPLICAS, "model", "pool", "state"), "{{model}} {{pool}} {{state}}"),),
    ),
    Panel(
        "Wanted by each signal alone",
        "The highest decides, within the bounds. This line tells which signal made the pool what it is.",
        "short",
        (Query(highest(names.SCALING_WANTED, "model", "pool", "signal"), "{{model}} {{pool}} {{signal}}"),),
    ),
)
_SIGNALS = (
    Panel(
        "Load",
        "Tensor load over all replicas, as the decision saw it. It is held at scaling.load.",
        "percentunit",
        (Query(highest(names.SCALING_SIGNAL, "model", "pool", signal="load"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Predicted wait",
        "Backlog over the rate of the replicas. It is held below scaling.wait_seconds.",
        "s",
        (Query(highest(names.SCALING_SIGNAL, "model", "pool", signal="wait_seconds"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Burn rate of the objective",
        "As the decision saw it. It is held below scaling.burn.",
        "none",
        (Query(highest(names.SCALING_SIGNAL, "model", "pool", signal="burn"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Share of refresh work",
        "Share of the refresh phase in the work. High in a pool of all phases: consider a pool for it.",
        "percentunit",
        (Query(highest(names.SCALING_SIGNAL, "model", "pool", signal="refresh_share"), "{{model}} {{pool}}"),),
        most=1,
    ),
)
_DECISIONS = (
    Panel(
        "Decisions by direction",
        "Up and down in turn: raise tolerance or down.stabilization_seconds. Replay the trace before you change it: "
        "dllm autoscale trace, dllm autoscale replay.",
        "none",
        (Query(per_second(names.SCALING_DECISIONS, "model", "pool", "direction"), "{{model}} {{pool}} {{direction}}"),),
    ),
    Panel(
        "Decisions by what bounded them",
        "max: the pool may grow no further. pace: it grows as fast as it may. stale: figures are missing, so it holds.",
        "none",
        (Query(per_second(names.SCALING_DECISIONS, "model", "pool", "bound"), "{{model}} {{pool}} {{bound}}"),),
    ),
    Panel(
        "Failed decisions",
        "The pool keeps its size. Any: read the controller's log; a policy of your own is the first suspect.",
        "none",
        (Query(per_second(names.SCALING_ERRORS, "model", "pool"), "{{model}} {{pool}}"),),
    ),
)
_REPLICAS = (
    Panel(
        "Load of replicas",
        "The highest, the mean and the lowest. Far apart: routing is uneven, or a replica is slow.",
        "percentunit",
        (
            Query(highest(names.TENSOR_LOAD, "model", "pool"), "{{model}} {{pool}} highest"),
            Query(average(names.TENSOR_LOAD, "model", "pool"), "{{model}} {{pool}} mean"),
            Query(lowest(names.TENSOR_LOAD, "model", "pool"), "{{model}} {{pool}} lowest"),
        ),
    ),
    Panel(
        "Places by state",
        "What there is for requests. Denoising near all of them at low load: max_running is too low for the device.",
        "short",
        (Query(total(names.CANVAS_SLOTS, "model", "pool", "state"), "{{model}} {{pool}} {{state}}"),),
        stacked=True,
    ),
    Panel(
        "Requests in the queue",
        "What a pool that may sleep is woken by.",
        "short",
        (Query(total(names.QUEUE_DEPTH, "queue"), "{{queue}}"),),
        stacked=True,
    ),
)

AUTOSCALING = Dashboard(
    "autoscaling",
    "autoscaling (why)",
    "Why each pool has as many replicas as it has. dllm autoscale explain tells the same in words.",
    (Variable("model", names.QUEUE_DEPTH.name), Variable("pool", names.REPLICAS.name)),
    (_OUTCOME, _SIGNALS, _DECISIONS, _REPLICAS),
)
