"""Whether clients get what they were promised."""

from __future__ import annotations

from cluster.monitoring.grafana import Dashboard, Panel, Query, Variable
from cluster.monitoring.queries import highest, observed, per_second, quantile, total
from deployments.telemetry import names

_OBJECTIVE = (
    Panel(
        "Objective met",
        "Share of answers whose first text came in time, over an hour. Below the objective: see the burn rate, then "
        "whether requests wait (queue) or fail (outcomes).",
        "percentunit",
        (Query('1 - model:dllm_objective_missed:ratio_rate1h{model=~"$model"}', "{{model}}"),),
        kind="stat",
        most=1,
    ),
    Panel(
        "Objective",
        "Share that is to meet the objective, from the model's configuration. Nothing to do; it is the line to hold.",
        "percentunit",
        (Query(highest(names.OBJECTIVE_SHARE, "model"), "{{model}}"),),
        kind="stat",
        most=1,
    ),
    Panel(
        "Failed by the service",
        "Share of requests that ended with a status of 500 or more. Above 0: look at the outcomes below.",
        "percentunit",
        (Query('model:dllm_requests_failed:ratio_rate5m{model=~"$model"}', "{{model}}"),),
        kind="stat",
        most=1,
    ),
    Panel(
        "Waiting",
        "Requests without a turn yet. Rising while replicas do not: see the dashboard of autoscaling.",
        "short",
        (Query(total(names.QUEUE_DEPTH, "model"), "{{model}}"),),
        kind="stat",
    ),
)
_TRAFFIC = (
    Panel(
        "Burn rate of the objective",
        "How many times faster than allowed the objective is missed. 1 uses the budget up exactly. Above 14 for an "
        "hour: act at once; above 1 for days: add replicas or change the objective.",
        "none",
        tuple(
            Query(f'model:dllm_objective_burn:rate{window}{{model=~"$model"}}', f"{{{{model}}}} {window}")
            for window in ("5m", "1h", "6h")
        ),
    ),
    Panel(
        "Requests by outcome",
        "Ended requests. A code of 4xx is the client's to mend, one of 5xx yours: the access log has each trace.",
        "reqps",
        (Query(per_second(names.REQUESTS, "outcome"), "{{outcome}}"),),
        stacked=True,
    ),
    Panel(
        "Answers that count for the objective",
        "By verdict. Only missed ones cost budget: late first text, or a failure of the service.",
        "reqps",
        (Query(per_second(names.OBJECTIVE_REQUESTS, "model", "verdict"), "{{model}} {{verdict}}"),),
        stacked=True,
    ),
)
_TIMES = (
    Panel(
        "Time to the first text",
        "From arrival to the first commit. The points are recorded traces: open a slow one to see where it waited.",
        "s",
        tuple(
            Query(quantile(share, names.TIME_TO_FIRST_COMMIT, "model"), f"{{{{model}}}} p{share * 100:.0f}", True)
            for share in (0.5, 0.95, 0.99)
        ),
    ),
    Panel(
        "Duration",
        "From arrival to the end, by band. Longer with the same wait: answers have become longer, or steps slower "
        "(see denoising).",
        "s",
        tuple(
            Query(
                quantile(share, names.REQUEST_DURATION, "model", "band"),
                f"{{{{model}}}} {{{{band}}}} p{share * 100:.0f}",
                True,
            )
            for share in (0.5, 0.95)
        ),
    ),
    Panel(
        "Wait for a turn, 95 %",
        "Time in the queue. Above the wait that the pool's scaling allows: the pool is too small, or at its most.",
        "s",
        (Query(quantile(0.95, names.QUEUE_WAIT, "model", "band"), "{{model}} {{band}}"),),
    ),
)
_OUTPUT = (
    Panel(
        "Committed tokens",
        "Tokens of ended answers in a second. A fall with the same requests means shorter answers or slower steps.",
        "none",
        (Query(per_second(names.COMMITTED_TOKENS, "model"), "{{model}}"),),
    ),
    Panel(
        "Requests that left a replica",
        "Resumed ones cost a prefill, restarted ones all their work, lost ones their client the answer. Many: replicas "
        "die; read the log of the pool's replicas.",
        "reqps",
        (Query(per_second(names.MIGRATIONS, "model", "outcome"), "{{model}} {{outcome}}"),),
    ),
    Panel(
        "Requests in the queue",
        "By band. Flex waits until nothing else does.",
        "short",
        (Query(total(names.QUEUE_DEPTH, "model", "band"), "{{model}} {{band}}"),),
        stacked=True,
    ),
)
_CONVENTIONS = (
    Panel(
        "Requests by the GenAI conventions",
        "The same requests by operation and error type, under the names that other servers of models use. Compare "
        "servers here.",
        "reqps",
        (
            Query(
                observed(names.SERVER_REQUEST_DURATION, "gen_ai_operation_name", "error_type"),
                "{{gen_ai_operation_name}} {{error_type}}",
            ),
        ),
    ),
    Panel(
        "Time to the first token, 95 %",
        "As the conventions name it. Compare servers here; what to do stands at the time to the first text.",
        "s",
        (
            Query(
                quantile(0.95, names.SERVER_TIME_TO_FIRST_TOKEN, "gen_ai_request_model", "gen_ai_operation_name"),
                "{{gen_ai_request_model}} {{gen_ai_operation_name}}",
                True,
            ),
        ),
    ),
    Panel(
        "Time per output token, 95 %",
        "Behind the first text. Rising: batches are too full or canvases take more steps (see denoising).",
        "s",
        (
            Query(
                quantile(0.95, names.SERVER_TIME_PER_OUTPUT_TOKEN, "gen_ai_request_model"),
                "{{gen_ai_request_model}}",
                True,
            ),
        ),
    ),
)

OVERVIEW = Dashboard(
    "overview",
    "overview (objectives)",
    "Whether clients get what they were promised. Start here.",
    (Variable("model", names.QUEUE_DEPTH.name),),
    (_OBJECTIVE, _TRAFFIC, _TIMES, _OUTPUT, _CONVENTIONS),
)
