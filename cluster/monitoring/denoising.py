"""What the replicas do with their steps."""

from __future__ import annotations

from cluster.monitoring.grafana import Dashboard, Panel, Query, Variable
from cluster.monitoring.queries import average, highest, lowest, mean, per_second, quantile, ratio, total
from deployments.telemetry import names

_WORK = (
    Panel(
        "Position-forwards",
        "The unit of work. Flat while requests wait: the pool is at its most, its replicas are busy with every step.",
        "none",
        (Query(per_second(names.POSITION_FORWARDS, "model", "pool"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Position-forwards by kind",
        "Reuse rows denoise; prefill, refresh and commit rows write the cache. Much refresh: requests of one phase "
        "belong into a pool of their own (pools[].phase).",
        "none",
        (Query(per_second(names.PHASE_POSITIONS, "model", "pool", "kind"), "{{model}} {{pool}} {{kind}}"),),
        stacked=True,
    ),
    Panel(
        "Positions in a step",
        "Mean size of a forward pass. Small while requests wait: position_budget or max_running is too low.",
        "none",
        (
            Query(
                ratio(
                    per_second(names.POSITION_FORWARDS, "model", "pool"),
                    per_second(names.ENGINE_STEPS, "model", "pool"),
                ),
                "{{model}} {{pool}}",
            ),
        ),
    ),
)
_STEPS = (
    Panel(
        "Engine steps",
        "Forward passes in a second. 0 with requests under way: a replica is stuck, see its alert.",
        "none",
        (Query(per_second(names.ENGINE_STEPS, "model", "pool"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Steps of an answer and of a canvas",
        "Median denoising steps. Rising: harder prompts, higher effort, or a lower threshold of commitment.",
        "none",
        (
            Query(quantile(0.5, names.DENOISE_STEPS, "model"), "{{model}} answer"),
            Query(quantile(0.5, names.CANVAS_STEPS, "model"), "{{model}} canvas"),
        ),
    ),
    Panel(
        "Tokens per forward pass",
        "What denoising in parallel gains. Near 1: no better than one token at a time; look at threshold and sampler.",
        "none",
        (
            Query(quantile(0.5, names.TOKENS_PER_FORWARD_PASS, "model"), "{{model}} p50"),
            Query(mean(names.TOKENS_PER_FORWARD_PASS, "model"), "{{model}} mean"),
        ),
    ),
)
_CANVASES = (
    Panel(
        "Duration of a canvas",
        "From its opening to its end. Rising with the same steps: each step is slower; batches are fuller, or the "
        "device is shared.",
        "s",
        (
            Query(quantile(0.5, names.CANVAS_DURATION, "model"), "{{model}} p50", True),
            Query(quantile(0.95, names.CANVAS_DURATION, "model"), "{{model}} p95", True),
        ),
    ),
    Panel(
        "Places by state",
        "Of all replicas of a pool. None free and some waiting for long: add replicas, or raise max_running if memory "
        "allows.",
        "short",
        (Query(total(names.CANVAS_SLOTS, "model", "pool", "state"), "{{model}} {{pool}} {{state}}"),),
        stacked=True,
    ),
    Panel(
        "Cache pages by state",
        "None free: requests wait for memory rather than for compute. Give the pool more cache pages.",
        "short",
        (Query(total(names.CACHE_PAGES, "model", "pool", "state"), "{{model}} {{pool}} {{state}}"),),
        stacked=True,
    ),
)
_SAVINGS = (
    Panel(
        "Positions taken from other prefixes",
        "Prefill that was spared. Falls after a change of prompts or of routing: equal beginnings are no longer found.",
        "none",
        (Query(per_second(names.REUSED_POSITIONS, "model", "pool"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Preemptions",
        "Requests parked for more urgent ones; each costs a prefill. Many: too few places for the urgent band.",
        "none",
        (Query(per_second(names.PREEMPTIONS, "model", "pool"), "{{model}} {{pool}}"),),
    ),
    Panel(
        "Routed without figures",
        "Runs whose router knew nothing recent of any replica. More than at start-up: replicas are too busy to report.",
        "none",
        (Query(per_second(names.STALE_ROUTINGS, "deployment"), "{{deployment}}"),),
    ),
)
_ACTIVITY = (
    Panel(
        "Tensor activity",
        "Mean share of time that the tensor units work, by source. Only an estimate where a counter is expected: the "
        "counter cannot be read, see the replica's log.",
        "percentunit",
        (Query(average(names.TENSOR_ACTIVITY, "model", "pool", "source"), "{{model}} {{pool}} {{source}}"),),
        most=1,
    ),
    Panel(
        "Tensor load",
        "Activity over the plateau of the model on its device: 1 is all that it can do. High: the pool grows, or is at "
        "its most.",
        "percentunit",
        (
            Query(highest(names.TENSOR_LOAD, "model", "pool"), "{{model}} {{pool}} highest"),
            Query(lowest(names.TENSOR_LOAD, "model", "pool"), "{{model}} {{pool}} lowest"),
        ),
    ),
    Panel(
        "Estimate over counter",
        "1 when the engine's account and the device's counter agree. Far from it: another process uses the device, or "
        "the peak was measured badly; restart the replica.",
        "none",
        (Query(highest(names.TENSOR_AGREEMENT, "model", "pool"), "{{model}} {{pool}}"),),
    ),
)

DENOISING = Dashboard(
    "denoising",
    "denoising",
    "What the replicas do with their steps, and what a step brings.",
    (Variable("model", names.QUEUE_DEPTH.name), Variable("pool", names.CANVAS_SLOTS.name)),
    (_WORK, _STEPS, _CANVASES, _SAVINGS, _ACTIVITY),
)
