"""Whole traces of requests whose replicas follow a script, wherever they go and however they end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.trace import get_current_span

from deployments.errors import DeadlineExceeded, Draining, NoReplica, ReplicaSilent, ReplicasLost
from deployments.telemetry.names import MIGRATIONS
from tests.deployments.execution.watching import Watched, dies, dies_at_once, goes_on, since, tree, whole
from tests.deployments.execution.works import SETTINGS, outputs_of, told
from tests.deployments.gateway.scripted import NOW, Step


async def test_a_lost_replica_takes_no_canvas_along() -> None:
    cluster = Watched(dies, goes_on)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert cluster.outline == tree("""
        generate tiny
          canvas
          canvas
        generate tiny
          canvas
        migrate
        queue
        route
        route
    """)
    kept, lost, last = cluster.named("canvas")
    assert [span.attributes["dllm.block.index"] for span in (kept, lost, last)] == [0, 1, 1]
    assert [span.failed for span in (kept, lost, last)] == [False, True, False]
    assert lost.attributes == {"dllm.block.index": 1, "dllm.outcome": "failed", "error.type": "replica_lost"}
    assert since(lost) == (1.0, 1.5)
    first, second = cluster.named("generate tiny")
    assert (first.failed, first.attributes["error.type"], first.attributes["dllm.replica"]) == (
        True,
        "replica_lost",
        "r1",
    )
    assert second.attributes["dllm.resume.committed_tokens"] == 8
    migrate = cluster.only("migrate")
    assert not migrate.failed
    assert since(migrate) == (1.5, 1.75)
    assert migrate.attributes == {
        "dllm.migrate.from": "r1",
        "dllm.migrate.to": "r2",
        "dllm.run.epoch": 65536,
        "dllm.resume.committed_tokens": 8,
        "dllm.resume.step": 8,
        "dllm.outcome": "resumed",
    }
    assert observation.migrations == 1
    assert observation.replicas == ["r1", "r2"]


async def test_a_request_that_was_lost_before_its_first_checkpoint_restarts() -> None:
    cluster = Watched(dies_at_once, whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert cluster.only("migrate").attributes["dllm.outcome"] == "restarted"
    assert cluster.metrics.total(MIGRATIONS, "tiny", "restarted") == 1


async def test_a_request_that_loses_replica_after_replica_ends_in_its_tree() -> None:
    cluster = Watched(dies, dies_at_once)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation)
        with pytest.raises(ReplicasLost):
            await outputs_of(execution)
    assert cluster.outline.count("generate tiny") == 2
    assert cluster.metrics.total(MIGRATIONS, "tiny", "lost") == 1
    assert observation.failure == "replicas_lost"


async def test_a_request_that_finds_no_other_replica_is_lost_on_its_way() -> None:
    def nowhere(cluster: Watched) -> Iterator[Step]:
        cluster.wait(2 * SETTINGS.patience_seconds)
        raise NoReplica

    cluster = Watched(dies, nowhere, nowhere)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation)
        with pytest.raises(NoReplica):
            await outputs_of(execution)
    migrate = cluster.only("migrate")
    assert migrate.failed
    assert (migrate.attributes["dllm.outcome"], migrate.attributes["error.type"]) == ("lost", "no_replica")
    assert "dllm.migrate.to" not in migrate.attributes
    assert [span.failed for span in cluster.named("route")] == [False, True, True]
    assert cluster.metrics.total(MIGRATIONS, "tiny", "lost") == 1
    assert observation.migrations == 0


async def test_a_refusal_before_any_replica_had_the_request_is_no_migration() -> None:
    def refuses(cluster: Watched) -> Iterator[Step]:
        yield NoReplica()

    cluster = Watched(refuses)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation)
        with pytest.raises(NoReplica):
            await outputs_of(execution)
    assert cluster.outline == tree("""
        generate tiny
        queue
        route
    """)
    assert {span.name for span in cluster.spans if span.failed} == {"generate tiny", "route"}
    assert not any(name == MIGRATIONS.name for name, *_ in cluster.metrics.values)


async def test_a_replica_that_refuses_is_left_without_a_migration() -> None:
    def drains(cluster: Watched) -> Iterator[Step]:
        yield Draining()

    cluster = Watched(drains, whole)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert not cluster.named("migrate")
    assert [span.failed for span in cluster.named("route")] == [True, False]
    assert observation.migrations == 0


async def test_a_request_that_tries_again_on_its_way_migrates_once() -> None:
    def says_nothing(cluster: Watched) -> Iterator[Step]:
        cluster.wait(3.0)
        yield ReplicaSilent()

    cluster = Watched(dies, says_nothing, goes_on)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    migrate = cluster.only("migrate")
    assert (migrate.attributes["dllm.migrate.from"], migrate.attributes["dllm.migrate.to"]) == ("r1", "r2")
    assert since(migrate) == (1.5, 4.75)
    assert observation.migrations == 1


@pytest.mark.parametrize("end", ["cancel", "release"])
async def test_a_request_that_is_given_up_on_its_way_ends_all_its_spans(end: str) -> None:
    asked_again = asyncio.Event()

    def keeps_waiting(cluster: Watched) -> Iterator[Step]:
        asked_again.set()
        yield asyncio.Event()

    cluster = Watched(dies, keeps_waiting)
    with cluster.asked() as observation:
        execution = await cluster.start(cluster.gateway(), observation, durable=True)
        await asked_again.wait()
        await getattr(execution, end)()
    migrate = cluster.only("migrate")
    assert not migrate.failed
    assert migrate.attributes["dllm.outcome"] == "cancelled"
    assert [span.attributes["dllm.outcome"] for span in cluster.named("route")[1:]] == ["cancelled"]
    assert observation.migrations == 0
    assert not any(name == MIGRATIONS.name for name, *_ in cluster.metrics.values)


async def test_a_request_whose_turn_comes_too_late_ends_in_the_queue() -> None:
    cluster = Watched()
    begun = cluster.gateway()
    with cluster.asked() as observation:
        execution = await cluster.start(begun, observation, name="late", deadline=NOW - 1.0)
        with pytest.raises(DeadlineExceeded):
            await outputs_of(execution)
    assert cluster.outline == tree("queue")
    assert cluster.only("queue").failed
    assert cluster.only("queue").attributes["error.type"] == "deadline_exceeded"
    assert observation.queue_seconds == 0.0


async def test_another_gateway_goes_on_in_the_same_trace() -> None:
    def stays(cluster: Watched) -> Iterator[Step]:
        yield told(0, 8, "r1")
        yield asyncio.Event()

    cluster = Watched(stays, goes_on)
    gone, heir = cluster.gateway("gone"), cluster.gateway("heir")
    with cluster.asked() as observation:
        execution = await cluster.start(gone, observation, durable=True)
        await anext(execution.follow())
        while len(await cluster.store.entries(execution.key)) < 1:
            await cluster.store.entries(execution.key, 0, wait_seconds=5.0)
    cluster.wait(SETTINGS.lease_seconds + 1)
    await heir.take_over()
    async for _ in heir.follow(execution.key):
        pass
    await gone.close()
    assert cluster.outline == tree("""
        generate tiny
          canvas
        generate tiny
          canvas
        queue
        queue
        resume
        route
        route
    """)
    resume = cluster.only("resume")
    assert resume.attributes == {
        "dllm.run.epoch": 2 * 65536,
        "dllm.resume.committed_tokens": 8,
        "dllm.resume.step": 0,
        "dllm.migrate.to": "r2",
    }
    assert [span.attributes["dllm.outcome"] for span in cluster.named("generate tiny")] == ["cancelled", "finished"]


async def test_a_record_without_a_trace_begins_none() -> None:
    cluster = Watched(whole)
    await outputs_of(await cluster.start(cluster.gateway()))
    assert cluster.spans == []


async def test_nothing_is_made_of_a_request_that_is_not_sampled() -> None:
    cluster = Watched(dies, goes_on, sampled=False)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert cluster.spans == []
    assert [run.trace for run in cluster.pool.runs] == ["", ""]
    assert observation.migrations == 1


async def test_what_is_logged_on_the_way_belongs_to_the_trace_and_makes_no_spans() -> None:
    seen = []

    def looks(cluster: Watched) -> Iterator[Step]:
        current = get_current_span()
        seen.append((current.get_span_context(), current.is_recording()))
        yield from whole(cluster)

    cluster = Watched(looks)
    with cluster.asked() as observation:
        await outputs_of(await cluster.start(cluster.gateway(), observation))
    assert seen == [(observation.span.get_span_context(), False)]
