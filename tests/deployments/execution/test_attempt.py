"""The spans of one run of a request, whose replica follows a script: to the attribute and the millisecond."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from deployments.run import Progress
from dllm_worker.request import Commit
from tests.deployments.execution.watching import END, Watched, canvas, goes_on, since, tree, whole
from tests.deployments.execution.works import QUEUE, TOKENS, finished, outputs_of, told
from tests.deployments.gateway.scripted import NOW, Step


async def test_an_undisturbed_request_is_one_whole_tree() -> None:
    cluster = Watched(whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert cluster.outline == tree("""
        generate tiny
          canvas
          canvas
          prefill
        queue
        route
    """)
    assert not any(span.failed for span in cluster.spans)
    assert since(cluster.only("route")) == (0.0, 0.25)
    assert since(cluster.only("generate tiny")) == (0.0, 4.0)
    assert since(cluster.only("prefill")) == (0.75, 1.5)
    assert [since(span) for span in cluster.named("canvas")] == [(1.5, 2.5), (2.5, 4.0)]


async def test_spans_say_what_was_asked_chosen_and_used() -> None:
    cluster = Watched(whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert cluster.only("queue").attributes == {"dllm.queue.name": QUEUE, "dllm.queue.band": "default"}
    assert cluster.only("route").attributes == {
        "dllm.run.epoch": 65536,
        "dllm.replica": "r1",
        "dllm.pool": "small",
        "dllm.route.score": 0.125,
        "dllm.route.prefix_hit": 16,
    }
    assert cluster.only("prefill").attributes == {"dllm.block.index": 0}
    assert cluster.named("canvas")[1].attributes == {
        "dllm.block.index": 1,
        "dllm.canvas.length": 8,
        "dllm.denoise.steps": 4,
        "dllm.position_forwards": 32,
        "dllm.committed_tokens": 8,
    }
    generate = cluster.only("generate tiny")
    assert generate.kind == "CLIENT"
    assert generate.attributes == {
        "gen_ai.provider.name": "dllm",
        "gen_ai.operation.name": "text_completion",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny",
        "dllm.run.epoch": 65536,
        "dllm.resume.committed_tokens": 0,
        "dllm.sampler": "confidence_threshold",
        "dllm.threshold": 0.9,
        "dllm.outcome": "finished",
        "dllm.pool": "small",
        "dllm.replica": "r1",
        "gen_ai.latency.time_in_scheduler": 0.25,
        "gen_ai.latency.time_in_model_prefill": 1.0,
        "gen_ai.latency.time_in_model_decode": 2.25,
        "gen_ai.latency.time_in_model_inference": 3.25,
        "gen_ai.usage.input_tokens": 2,
        "gen_ai.usage.output_tokens": END,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "dllm.denoise.steps": 4,
        "dllm.forward_passes": 4,
        "dllm.prefill_forwards": 0,
        "dllm.commit_forwards": 0,
        "dllm.position_forwards": 64,
        "dllm.tokens_per_forward": END / 4,
    }


async def test_a_canvas_tells_how_its_denoising_went() -> None:
    cluster = Watched(whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    first, second = (span.events for span in cluster.exporter.get_finished_spans() if span.name == "canvas")
    assert {event.name for event in (*first, *second)} == {"step.summary"}
    assert [event.timestamp / 1e9 - NOW for event in first] == [2.0, 2.5]
    assert [event.timestamp / 1e9 - NOW for event in second] == [3.375, 4.0]
    assert dict(second[0].attributes or {}) == {"dllm.step": 2, "dllm.committed_tokens": 4}


async def test_canvases_that_come_in_one_message_follow_each_other() -> None:
    def gathers(cluster: Watched) -> Iterator[Step]:
        yield Progress(replica="r1")
        cluster.wait(4.0)
        yield replace(told(0, END), canvases=(canvas(0, 0.5, 1.0), canvas(1, 0.25, 1.25)))
        yield finished()

    cluster = Watched(gathers)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert since(cluster.only("prefill")) == (1.0, 1.5)
    assert [since(span) for span in cluster.named("canvas")] == [(1.5, 2.5), (2.5, 4.0)]


async def test_the_replica_gets_the_context_of_its_attempt() -> None:
    cluster = Watched(whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    generate = cluster.only("generate tiny")
    (run,) = cluster.pool.runs
    assert run.trace.split("-")[:3] == ["00", generate.trace, generate.id]


async def test_a_parked_request_leaves_its_canvas_unfinished_and_nothing_failed() -> None:
    def parks(cluster: Watched) -> Iterator[Step]:
        yield Progress(replica="r1")
        cluster.wait(1.0)
        yield Progress(checkpoint=b"parked", parked=True, canvases=(canvas(0, 0.25, 0.5, ended=False),))

    cluster = Watched(parks, whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    parked = cluster.named("canvas")[0]
    assert since(parked) == (0.5, 1.0)
    assert parked.attributes["dllm.outcome"] == "parked"
    assert [span.attributes["dllm.outcome"] for span in cluster.named("generate tiny")] == ["parked", "finished"]
    assert cluster.only("migrate").attributes["dllm.outcome"] == "resumed"
    assert not any(span.failed for span in cluster.spans)


async def test_a_request_that_leaves_its_replica_between_two_canvases_was_at_none() -> None:
    def at_a_boundary(cluster: Watched) -> Iterator[Step]:
        yield Progress(replica="leaving")
        cluster.pool.leaving.add("leaving")
        yield replace(told(0, 8, boundary=True), canvases=(canvas(0, 0.0, 1.0),))
        yield told(8, END)

    cluster = Watched(at_a_boundary, goes_on)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert len(cluster.named("canvas")) == 2
    assert [span.attributes["dllm.outcome"] for span in cluster.named("generate tiny")] == ["moved", "finished"]


async def test_a_cancelled_request_fails_nowhere() -> None:
    def endless(cluster: Watched) -> Iterator[Step]:
        yield told(0, 8, "r1")
        yield asyncio.Event()

    cluster = Watched(endless)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation)
        await anext(execution.follow())
        await execution.cancel()
    assert cluster.outline == tree("""
        generate tiny
          canvas
        queue
        route
    """)
    assert [cluster.only(name).attributes["dllm.outcome"] for name in ("generate tiny", "canvas")] == ["cancelled"] * 2
    assert not any(span.failed for span in cluster.spans)
    assert observation.failure == "request_cancelled"


async def test_an_answer_that_a_stop_string_ends_was_at_a_canvas() -> None:
    def talks(cluster: Watched) -> Iterator[Step]:
        yield told(0, 8, "r1")
        cluster.wait(1.0)
        yield Progress((Commit("request", 3, 20, 8, TOKENS[8:20]),), checkpoint=b"20")
        yield asyncio.Event()

    cluster = Watched(talks)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation, stops=(" that",))
        await outputs_of(execution)
        await execution.ended()
    span = cluster.only("canvas")
    assert span.attributes == {"dllm.block.index": 3, "dllm.outcome": "finished"}
    assert since(span) == (0.0, 1.0)
