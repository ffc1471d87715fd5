"""When each alert fires, and when it does not."""

from __future__ import annotations

from dataclasses import dataclass, field

TINY = {"model": "tiny"}
POOL = {"model": "tiny", "pool": "all"}
QUEUE = {"model": "tiny", "queue": "tiny:all"}
REPLICA = '{model="tiny", pool="all", process="worker-1"}'
GATEWAY = '{process="gateway-1"}'


@dataclass(frozen=True, slots=True)
class Case:
    """Series in promtool's notation, one value each ``interval``.

    After ``at`` the alert fires with ``labels`` and tells of ``value``; without labels it does not fire.
    """

    alert: str
    series: dict[str, str]
    at: str
    labels: dict[str, str] | None = None
    value: str = ""
    interval: str = field(default="1m", kw_only=True)


def objective(met: str, missed: str, share: str = "0.99x9999") -> dict[str, str]:
    """Answers of ``tiny``, each as promtool writes a series."""
    labels = 'dllm_objective_requests_total{model="tiny", process="gateway-1", verdict="%s"}'
    return {
        labels % "met": met,
        labels % "missed": missed,
        'dllm_objective_ratio{model="tiny", process="gateway-1"}': share,
    }


def waits(below: str, all_of_them: str, band: str = "default") -> dict[str, str]:
    """Turns of ``tiny``: those that waited less than 10 s, and all of them."""
    labels = f'{{model="tiny", queue="tiny:all", band="{band}", process="gateway-1", le="%s"}}'
    return {
        "dllm_queue_wait_seconds_bucket" + labels % bound: values
        for bound, values in (("10.0", below), ("30.0", all_of_them), ("+Inf", all_of_them))
    }


def depth(values: str, turns: str | None) -> dict[str, str]:
    """Requests that wait for ``tiny``, and turns that are given."""
    labels = '{model="tiny", queue="tiny:all", band="default", process="gateway-1"}'
    counted = {} if turns is None else {f"dllm_queue_wait_seconds_count{labels}": turns}
    return {f"dllm_queue_depth{labels}": values, **counted}


def replica(requests: str, steps: str) -> dict[str, str]:
    """A replica's places and steps."""
    labels = 'dllm_canvas_slots{model="tiny", pool="all", process="worker-1", state="%s"}'
    return {labels % "denoising": requests, labels % "free": "9x999", f"dllm_engine_steps_total{REPLICA}": steps}


def replicas(wanted: str, running: str) -> dict[str, str]:
    """What the controller tells of a pool."""
    labels = 'dllm_pool_replicas{model="tiny", pool="all", process="controller", state="%s"}'
    return {labels % "wanted": wanted, labels % "running": running}


def decisions(bounded: str, free: str, bound: str) -> dict[str, str]:
    """Decisions that were bounded, and others."""
    labels = '{model="tiny", pool="all", process="controller", direction="hold", bound="%s"}'
    return {
        "dllm_autoscaling_decisions_total" + labels % bound: bounded,
        "dllm_autoscaling_decisions_total" + labels % "none": free,
    }


def calls(fast: str, all_of_them: str) -> dict[str, str]:
    """Calls to the store: those within 100 ms, and all of them."""
    labels = '{op="reserve", process="gateway-1", le="%s"}'
    return {
        "dllm_redis_latency_seconds_bucket" + labels % bound: values
        for bound, values in (("0.1", fast), ("0.5", all_of_them), ("+Inf", all_of_them))
    }


def ended(ok: str, failed: str, outcome: str = "no_replica") -> dict[str, str]:
    """Ended requests of ``tiny``."""
    labels = '{model="tiny", band="default", process="gateway-1", outcome="%s"}'
    return {"dllm_requests_total" + labels % "ok": ok, "dllm_requests_total" + labels % outcome: failed}


def lag(units: str, work: str) -> dict[str, str]:
    """The fairness of a queue, and the work of the cluster."""
    return {
        'dllm_fairness_max_lag_units{model="tiny", queue="tiny:all", process="gateway-1"}': units,
        'dllm_tenant_cost_units_total{tenant="acme", process="gateway-1"}': work,
    }


LOST = 'dllm_migrations_total{model="tiny", outcome="lost", process="gateway-1"}'
MOVED = 'dllm_migrations_total{model="tiny", outcome="resumed", process="gateway-1"}'
ERRORS = 'dllm_autoscaling_errors_total{model="tiny", pool="all", process="controller"}'
DROPPED = f"dllm_ledger_dropped_total{GATEWAY}"
PENDING = f"dllm_ledger_pending{GATEWAY}"
UP = f"dllm_redis_up{GATEWAY}"
SHARED = f'dllm_limit_decisions_total{{limit="none", decision="admitted", mode="shared", {GATEWAY[1:]}'
LOCAL = f'dllm_limit_decisions_total{{limit="none", decision="admitted", mode="local", {GATEWAY[1:]}'

CASES = (
    Case("DllmObjectiveBurnsFast", objective("0+80x90", "0+20x90"), "90m", TINY, "20"),
    Case("DllmObjectiveBurnsFast", objective("0+92x420", "0+8x420"), "7h", TINY, "8"),
    Case("DllmObjectiveBurnsFast", objective("0+95x90", "0+5x90"), "90m"),
    Case("DllmObjectiveBurnsFast", objective("0+80x60 4800+100x60", "0+20x60 1200+0x60"), "100m"),
    Case("DllmObjectiveBurnsFast", objective("0+80x90", "0+20x90", "0.9x90"), "90m"),
    Case("DllmObjectiveBurnsSlowly", objective("0+96x160", "0+4x160"), "25h", TINY, "4", interval="10m"),
    Case("DllmObjectiveBurnsSlowly", objective("0+98x450", "0+2x450"), "73h", TINY, "2", interval="10m"),
    Case("DllmObjectiveBurnsSlowly", objective("0+995x450", "0+5x450"), "73h", interval="10m"),
    Case("DllmServerErrors", ended("0+95x20", "0+5x20"), "15m", TINY, "5%"),
    Case("DllmServerErrors", ended("0+99x20", "0+1x20"), "15m"),
    Case("DllmServerErrors", ended("0+5x20", "0+95x20", "rate_limit_exceeded"), "15m"),
    Case("DllmMetricsAbsent", {"up": "0x20"}, "10m", {}),
    Case("DllmMetricsAbsent", depth("0x20", None), "10m"),
    Case("DllmQueueWaitLong", waits("0+5x20", "0+10x20"), "15m", QUEUE | {"band": "default"}, "28s"),
    Case("DllmQueueWaitLong", waits("0+99x20", "0+100x20"), "15m"),
    Case("DllmQueueWaitLong", waits("0+5x20", "0+10x20", "flex"), "15m"),
    Case("DllmQueueStands", depth("3x20", "7x20"), "10m", QUEUE, "3"),
    Case("DllmQueueStands", depth("3x20", None), "10m", QUEUE, "3"),
    Case("DllmQueueStands", depth("3x20", "0+1x20"), "10m"),
    Case("DllmQueueStands", depth("0x20", "7x20"), "10m"),
    Case("DllmReplicaStuck", replica("2x30", "50x30"), "1m", POOL | {"process": "worker-1"}, "2", interval="10s"),
    Case("DllmReplicaStuck", replica("2x30", "50x2 51x30"), "40s", interval="10s"),
    Case("DllmReplicaStuck", replica("2x30", "50+1x30"), "1m", interval="10s"),
    Case("DllmReplicaStuck", replica("0x30", "50x30"), "1m", interval="10s"),
    Case("DllmReplicasMissing", replicas("5x30", "3x30"), "15m", POOL, "2"),
    Case("DllmReplicasMissing", replicas("5x30", "3x5 5x30"), "15m"),
    Case("DllmReplicasMissing", replicas("3x30", "5x30"), "15m"),
    Case("DllmMigrationsLost", {LOST: "_x5 1x30"}, "8m", TINY, "1"),
    Case("DllmMigrationsLost", {LOST: "4x30"}, "30m"),
    Case("DllmMigrationsLost", {LOST: "4x30", MOVED: "0+5x30"}, "30m"),
    Case("DllmAutoscalerAtMax", decisions("0+30x40", "0+10x40", "max"), "30m", POOL),
    Case("DllmAutoscalerAtMax", decisions("0+10x40", "0+30x40", "max"), "30m"),
    Case("DllmAutoscalerAtMax", decisions("0+30x40", "0+10x40", "pace"), "30m"),
    Case("DllmAutoscalerStale", decisions("0+30x40", "0+10x40", "stale"), "30m", POOL),
    Case("DllmAutoscalerStale", decisions("0+30x40", "0+10x40", "min"), "30m"),
    Case("DllmAutoscalerFailing", {ERRORS: "_x5 2x30"}, "8m", POOL, "2"),
    Case("DllmAutoscalerFailing", {ERRORS: "2x30"}, "30m"),
    Case("DllmStateStoreDown", {UP: "1x3 0x10"}, "8m", {"process": "gateway-1"}),
    Case("DllmStateStoreDown", {UP: "1x10"}, "8m"),
    Case("DllmStateStoreSlow", calls("0+50x30", "0+100x30"), "20m", {"op": "reserve"}, "492ms"),
    Case("DllmStateStoreSlow", calls("0+100x30", "0+100x30"), "20m"),
    Case("DllmLimiterLocal", {SHARED: "5x20", LOCAL: "0+5x20"}, "10m", {"mode": "local"}),
    Case("DllmLimiterLocal", {SHARED: "0+5x20", LOCAL: "5x20"}, "10m"),
    Case("DllmFairnessLag", lag("70000x40", "0+6000x40"), "30m", QUEUE, "70k"),
    Case("DllmFairnessLag", lag("50000x40", "0+6000x40"), "30m"),
    Case("DllmLedgerPending", {PENDING: "1500x20"}, "10m", {"process": "gateway-1"}, "1500"),
    Case("DllmLedgerPending", {PENDING: "1500x3 20x20"}, "10m"),
    Case("DllmLedgerDropped", {DROPPED: "_x5 3x30"}, "8m", {}, "3"),
    Case("DllmLedgerDropped", {DROPPED: "3x30"}, "30m"),
)
