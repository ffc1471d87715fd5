"""Every name that the cluster measures under. ``docs/metrics.md`` says what to do about each."""

from __future__ import annotations

from deployments.telemetry.metrics import Metric

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
SHORT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
GEN_AI_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_SECONDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
STEPS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
TOKENS_PER_FORWARD = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 32.0)

REQUESTS = Metric(
    "dllm_requests_total",
    "counter",
    "Requests that ended, by outcome: ok, cancelled, or the code of the error.",
    ("model", "band", "outcome"),
)
REQUEST_DURATION = Metric(
    "dllm_request_duration_seconds",
    "histogram",
    "Time from arrival to the end of the answer.",
    ("model", "band"),
    SECONDS,
)
TIME_TO_FIRST_COMMIT = Metric(
    "dllm_time_to_first_commit_seconds",
    "histogram",
    "Time from arrival to the first committed text.",
    ("model",),
    SECONDS,
)
OBJECTIVE_REQUESTS = Metric(
    "dllm_objective_requests_total",
    "counter",
    "Answers that count for the model's objective, by verdict: met, or missed (late or failed by the service).",
    ("model", "verdict"),
)
OBJECTIVE_SHARE = Metric(
    "dllm_objective_ratio", "gauge", "Share of those answers that is to meet the model's objective.", ("model",)
)
DENOISE_STEPS = Metric("dllm_denoise_steps", "histogram", "Denoising steps of an answer.", ("model",), STEPS)
CANVAS_STEPS = Metric("dllm_canvas_steps", "histogram", "Denoising steps of a canvas.", ("model",), STEPS)
CANVAS_DURATION = Metric(
    "dllm_block_duration_seconds", "histogram", "Time from the opening of a canvas to its end.", ("model",), SECONDS
)
TOKENS_PER_FORWARD_PASS = Metric(
    "dllm_tokens_per_forward",
    "histogram",
    "Committed tokens of an answer for each of its forward passes.",
    ("model",),
    TOKENS_PER_FORWARD,
)
COMMITTED_TOKENS = Metric("dllm_committed_tokens_total", "counter", "Committed tokens of ended answers.", ("model",))
POSITION_FORWARDS = Metric(
    "dllm_position_forwards_total", "counter", "Position-forwards that replicas have executed.", ("model", "pool")
)
ENGINE_STEPS = Metric(
    "dllm_engine_steps_total", "counter", "Forward passes that replicas have executed.", ("model", "pool")
)
PHASE_POSITIONS = Metric(
    "dllm_phase_positions_total",
    "counter",
    "Position-forwards by the kind of their step: prefill, refresh, reuse, commit.",
    ("model", "pool", "kind"),
)
PREEMPTIONS = Metric(
    "dllm_preemptions_total", "counter", "Running requests that were parked for more urgent ones.", ("model", "pool")
)
REUSED_POSITIONS = Metric(
    "dllm_reused_positions_total",
    "counter",
    "Positions whose keys and values were taken from another request's prefix.",
    ("model", "pool"),
)
CANVAS_SLOTS = Metric(
    "dllm_canvas_slots",
    "gauge",
    "Places of a replica by state: free, denoising, or waiting for one.",
    ("model", "pool", "state"),
)
CACHE_PAGES = Metric(
    "dllm_cache_pages", "gauge", "Pages of a replica's cache by state: free, used.", ("model", "pool", "state")
)
TENSOR_ACTIVITY = Metric(
    "dllm_tensor_activity_ratio",
    "gauge",
    "Tensor activity of a replica by source: gpm, dcgm, estimate.",
    ("model", "pool", "source"),
)
TENSOR_LOAD = Metric(
    "dllm_tensor_load_ratio", "gauge", "Tensor activity over the plateau that the self-test found.", ("model", "pool")
)
TENSOR_AGREEMENT = Metric(
    "dllm_tensor_agreement_ratio", "gauge", "The engine's estimate over the hardware counter.", ("model", "pool")
)
LIMIT_DECISIONS = Metric(
    "dllm_limit_decisions_total",
    "counter",
    "Reservations by the limit that decided, the decision and who counted: all gateways or this one alone.",
    ("limit", "decision", "mode"),
)
TENANT_COST = Metric(
    "dllm_tenant_cost_units_total",
    "counter",
    "Work units of ended answers. Only so many tenants have a name; the rest are other.",
    ("tenant",),
)
TENANT_REQUESTS = Metric(
    "dllm_tenant_requests_total",
    "counter",
    "Ended requests of a tenant by outcome, named as their cost is.",
    ("tenant", "outcome"),
)
QUEUE_DEPTH = Metric(
    "dllm_queue_depth", "gauge", "Requests of a gateway that wait for their turn.", ("model", "queue", "band")
)
QUEUE_WAIT = Metric(
    "dllm_queue_wait_seconds", "histogram", "Time from acceptance to the turn.", ("model", "queue", "band"), SECONDS
)
FAIRNESS_MAX_LAG = Metric(
    "dllm_fairness_max_lag_units",
    "gauge",
    "How far the counters of two backlogged tenants are apart, in work units per weight.",
    ("model", "queue"),
)
FAIRNESS_JAIN = Metric(
    "dllm_fairness_jain_index",
    "gauge",
    "Jain's index of the backlogged tenants' service per weight.",
    ("model", "queue"),
)
MIGRATIONS = Metric(
    "dllm_migrations_total",
    "counter",
    "Requests that left a replica: resumed from a checkpoint, restarted from the beginning, or lost.",
    ("model", "outcome"),
)
STALE_ROUTINGS = Metric(
    "dllm_router_stale_total",
    "counter",
    "Runs that were routed without recent figures of any replica.",
    ("deployment",),
)
LEDGER_PENDING = Metric("dllm_ledger_pending", "gauge", "Ended requests whose ledger entry is not written yet.")
LEDGER_DROPPED = Metric(
    "dllm_ledger_dropped_total", "counter", "Ended requests that a gateway ceased to keep before they were billed."
)
REDIS_UP = Metric("dllm_redis_up", "gauge", "Whether the last call to the state store was answered.")
REDIS_LATENCY = Metric(
    "dllm_redis_latency_seconds",
    "histogram",
    "Time of a call to the state store, by what it was for.",
    ("op",),
    SHORT_SECONDS,
)
METRICS_PROCESSES = Metric(
    "dllm_metrics_processes",
    "gauge",
    "Processes that were asked for their metrics in this scrape, by state: answered, failed.",
    ("state",),
)
REPLICAS = Metric(
    "dllm_pool_replicas", "gauge", "Replicas of a pool by state: running, wanted.", ("model", "pool", "state")
)
SCALING_SIGNAL = Metric(
    "dllm_autoscaling_signal",
    "gauge",
    "What the last decision was made from: load, wait_seconds, burn, refresh_share.",
    ("model", "pool", "signal"),
)
SCALING_WANTED = Metric(
    "dllm_autoscaling_wanted_replicas",
    "gauge",
    "Replicas that one signal alone asks for: load, wait, burn, schedule, queue.",
    ("model", "pool", "signal"),
)
SCALING_DECISIONS = Metric(
    "dllm_autoscaling_decisions_total",
    "counter",
    "Decisions by direction (up, down, hold) and what bounded them (none, max, min, pace, stale, panic).",
    ("model", "pool", "direction", "bound"),
)
SCALING_ERRORS = Metric(
    "dllm_autoscaling_errors_total",
    "counter",
    "Decisions that failed and left the number of replicas as it was.",
    ("model", "pool"),
)

GEN_AI = ("gen_ai_operation_name", "gen_ai_request_model", "gen_ai_response_model", "error_type")
"""The conventions' attributes, in Prometheus' spelling."""

SERVER_REQUEST_DURATION = Metric(
    "gen_ai_server_request_duration_seconds",
    "histogram",
    "Time from arrival to the end of the answer.",
    GEN_AI,
    GEN_AI_SECONDS,
)
SERVER_TIME_TO_FIRST_TOKEN = Metric(
    "gen_ai_server_time_to_first_token_seconds",
    "histogram",
    "Time from arrival to the first committed text.",
    GEN_AI[:3],
    FIRST_TOKEN_SECONDS,
)
SERVER_TIME_PER_OUTPUT_TOKEN = Metric(
    "gen_ai_server_time_per_output_token_seconds",
    "histogram",
    "Time from the first committed text to the end, for each further token.",
    GEN_AI[:3],
    TOKEN_SECONDS,
)

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
