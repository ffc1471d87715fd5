from __future__ import annotations

from cluster.monitoring import queries
from deployments.telemetry import names


def test_a_query_keeps_to_what_the_variables_select() -> None:
    assert queries.total(names.CANVAS_SLOTS, "pool", "state") == (
        'sum by (pool, state) (dllm_canvas_slots{model=~"$model", pool=~"$pool"})'
    )
    assert queries.highest(names.REDIS_UP) == "max (dllm_redis_up)"
    assert queries.observed(names.SERVER_TIME_TO_FIRST_TOKEN) == (
        'sum (rate(gen_ai_server_time_to_first_token_seconds_count{gen_ai_request_model=~"$model"}[$__rate_interval]))'
    )


def test_further_matchers_stand_behind_those_of_the_variables() -> None:
    assert queries.per_second(names.TENANT_REQUESTS, "outcome", besides='outcome!="ok"') == (
        'sum by (outcome) (rate(dllm_tenant_requests_total{tenant=~"$tenant", outcome!="ok"}[$__rate_interval]))'
    )
    assert queries.highest(names.SCALING_SIGNAL, "pool", signal="load") == (
        'max by (pool) (dllm_autoscaling_signal{model=~"$model", pool=~"$pool", signal="load"})'
    )


def test_quantiles_and_means_are_taken_over_all_processes() -> None:
    assert queries.quantile(0.95, names.REDIS_LATENCY, "op") == (
        "histogram_quantile(0.95, sum by (op, le) (rate(dllm_redis_latency_seconds_bucket[$__rate_interval])))"
    )
    assert queries.mean(names.REDIS_LATENCY, "op") == (
        "sum by (op) (rate(dllm_redis_latency_seconds_sum[$__rate_interval]))"
        " / sum by (op) (rate(dllm_redis_latency_seconds_count[$__rate_interval]))"
    )
