"""Every name of a span, of its attributes and of its events.

``gen_ai.*`` are those of OpenTelemetry's GenAI conventions (github.com/open-telemetry/semantic-conventions-genai, in
development), ``dllm.*`` are the cluster's own. Nothing here holds what a client wrote or a model answered.
"""

from __future__ import annotations

ADMIT, QUEUE, ROUTE, GENERATE, DENOISE, PREFILL, CANVAS, MIGRATE, RESUME, STREAM, ENGINE_STEP, REDIS = (
    "admit", "queue", "route", "generate", "denoise", "prefill", "canvas", "migrate", "resume", "stream", "engine.step",
    "redis",
)  # fmt: skip
"""Span names; ``generate`` and ``denoise`` are followed by the model, ``redis`` by what the call is for."""

STEP_SUMMARY = "step.summary"
"""The event of a canvas span: how far its denoising is."""

HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS = "http.request.method", "http.route", "http.response.status_code"
RPC_SYSTEM, RPC_METHOD, RPC_STATUS = "rpc.system", "rpc.method", "rpc.grpc.status_code"
DB_SYSTEM, DB_OPERATION = "db.system.name", "db.operation.name"
ERROR_TYPE = "error.type"

OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
REQUEST_MODEL, RESPONSE_MODEL = "gen_ai.request.model", "gen_ai.response.model"
REQUEST_SEED, REQUEST_STREAM = "gen_ai.request.seed", "gen_ai.request.stream"
REQUEST_MAX_TOKENS, REQUEST_TEMPERATURE = "gen_ai.request.max_tokens", "gen_ai.request.temperature"
REQUEST_CHOICES = "gen_ai.request.choice.count"
RESPONSE_ID, FINISH_REASONS = "gen_ai.response.id", "gen_ai.response.finish_reasons"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
TIME_IN_QUEUE, TIME_TO_FIRST_TOKEN, END_TO_END = (
    "gen_ai.latency.time_in_queue", "gen_ai.latency.time_to_first_token", "gen_ai.latency.e2e",
)  # fmt: skip
TIME_IN_PREFILL, TIME_IN_DECODE, TIME_IN_INFERENCE, TIME_IN_SCHEDULER = (
    "gen_ai.latency.time_in_model_prefill",
    "gen_ai.latency.time_in_model_decode",
    "gen_ai.latency.time_in_model_inference",
    "gen_ai.latency.time_in_scheduler",
)
PROVIDER_NAME = "dllm"

REQUEST_ID, TENANT, BAND = "dllm.request.id", "dllm.tenant.id", "dllm.queue.band"
QUEUE_NAME = "dllm.queue.name"
LIMIT_MODE, RESERVED_WORK, RESERVED_TOKENS = "dllm.limit.mode", "dllm.reserved.work", "dllm.reserved.tokens"
POOL, REPLICA, ROUTE_SCORE, PREFIX_HIT = "dllm.pool", "dllm.replica", "dllm.route.score", "dllm.route.prefix_hit"
EPOCH, OUTCOME = "dllm.run.epoch", "dllm.outcome"
CANVAS_INDEX, CANVAS_LENGTH = "dllm.block.index", "dllm.canvas.length"
DENOISE_STEPS, MAX_STEPS = "dllm.denoise.steps", "dllm.denoise.max_steps"
FORWARD_PASSES, POSITION_FORWARDS = "dllm.forward_passes", "dllm.position_forwards"
PREFILL_FORWARDS, COMMIT_FORWARDS = "dllm.prefill_forwards", "dllm.commit_forwards"
TOKENS_PER_FORWARD, COMMITTED_TOKENS = "dllm.tokens_per_forward", "dllm.committed_tokens"
THRESHOLD, SAMPLER = "dllm.threshold", "dllm.sampler"
MIGRATIONS, MIGRATED_FROM, MIGRATED_TO = "dllm.migrations", "dllm.migrate.from", "dllm.migrate.to"
RESUMED_TOKENS, RESUMED_STEP = "dllm.resume.committed_tokens", "dllm.resume.step"
STREAM_BYTES, STREAM_DROPPED, STREAM_STALL = (
    "dllm.stream.bytes",
    "dllm.stream.dropped_frames",
    "dllm.stream.stall_seconds",
)
STEP_ROWS, STEP_KINDS, STEP_FLOPS = "dllm.step.rows", "dllm.step.kinds", "dllm.step.flops"
STEP_NUMBER = "dllm.step"
