from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import InternalError, NoReplica, ReplicaLost, ReplicasLost, RequestCancelled
from deployments.gateway.assembler import Output
from deployments.run import Progress
from deployments.state.store import RequestKey
from dllm_worker.request import Commit, Request
from tests.deployments.execution.works import (
    TEXT,
    TOKENS,
    Cluster,
    done_of,
    finished,
    outputs_of,
    scripts,
    text_of,
    told,
)
from tests.deployments.gateway.scripted import ScriptedPool, Step

KEY = RequestKey("acme", "request")
END = len(TOKENS)


async def test_an_undisturbed_request_is_told_as_it_is_committed() -> None:
    cluster = Cluster(scripts([Progress(replica="r1"), told(0, 8), told(8, END), finished()]))
    execution = await cluster.start(cluster.gateway())
    batches = [batch async for batch in execution.follow()]
    assert batches[0] == ()
    outputs = [output for batch in batches for output in batch]
    assert text_of(outputs) == TEXT
    assert done_of(outputs).reason == "length"
    assert cluster.pool.aborted == []


async def test_a_lost_replica_is_left_for_another_at_the_last_checkpoint() -> None:
    lost: list[Step] = [Progress(replica="r1"), told(0, 8), Progress(checkpoint=b"8 and four steps"), ReplicaLost()]
    cluster = Cluster(scripts(lost, [Progress(replica="r2"), told(8, END), finished()]))
    outputs = await outputs_of(await cluster.start(cluster.gateway()))
    assert text_of(outputs) == TEXT
    done_of(outputs)
    first, second = cluster.pool.runs
    assert second.checkpoint == b"8 and four steps"
    assert second.committed == 8
    assert second.avoid == ("r1",)
    assert second.epoch > first.epoch


async def test_what_a_run_repeats_is_not_told_again() -> None:
    cluster = Cluster(scripts([told(0, 8), told(8, 12), ReplicaLost()], [told(4, 16), told(16, END), finished()]))
    assert text_of(await outputs_of(await cluster.start(cluster.gateway()))) == TEXT


GAP = Progress((Commit("request", 0, 2, 9, TOKENS[9:]),), checkpoint=b"x")
CHANGE = Progress((Commit("request", 0, 2, 4, TOKENS[5:]),), checkpoint=b"x")


@pytest.mark.parametrize("wrong", [GAP, CHANGE], ids=["gap", "change"])
async def test_a_gap_or_a_change_in_committed_tokens_is_a_defect_and_never_told(wrong: Progress) -> None:
    cluster = Cluster(scripts([told(0, 8), wrong, finished()]))
    read: list[Output] = []
    reading = (await cluster.start(cluster.gateway())).follow()
    while text_of(read) != TEXT[:8]:
        read += await anext(reading)
    with pytest.raises(InternalError):
        await anext(reading)


async def test_a_replica_that_goes_silent_at_an_end_of_its_own_is_lost() -> None:
    cluster = Cluster(scripts([told(0, 8)], [told(8, END), finished()]))
    assert text_of(await outputs_of(await cluster.start(cluster.gateway()))) == TEXT


async def test_a_request_that_takes_down_replica_after_replica_ends_with_a_clear_error() -> None:
    lost: list[Step] = [Progress(replica="r1"), ReplicaLost()]
    cluster = Cluster(scripts([told(0, 8), *lost], lost))
    execution = await cluster.start(cluster.gateway())
    with pytest.raises(ReplicasLost):
        await outputs_of(execution)
    record = await cluster.store.get(KEY)
    assert record is not None
    assert (record.status, record.error_code) == ("failed", "replicas_lost")
    assert len(cluster.pool.runs) == 2


async def test_a_parked_request_goes_on_wherever_there_is_room() -> None:
    parked = Progress(checkpoint=b"parked", boundary=True, parked=True)
    cluster = Cluster(scripts([Progress(replica="r1"), told(0, 8), parked], [told(8, END), finished()]))
    assert text_of(await outputs_of(await cluster.start(cluster.gateway()))) == TEXT
    assert cluster.pool.runs[1].checkpoint == b"parked"
    assert cluster.pool.runs[1].avoid == ()


async def test_a_replica_that_leaves_is_left_and_its_run_aborted() -> None:
    cluster = Cluster(scripts([told(0, 8, "leaving"), told(8, END)], [told(8, END, "staying"), finished()]))
    cluster.pool.leaving.add("leaving")
    assert text_of(await outputs_of(await cluster.start(cluster.gateway()))) == TEXT
    assert cluster.pool.aborted == ["request"]


async def test_an_admitted_request_waits_until_a_replica_is_there_again() -> None:
    cluster = Cluster(scripts([told(0, 8), ReplicaLost()], [NoReplica()], [told(8, END), finished()]))
    assert text_of(await outputs_of(await cluster.start(cluster.gateway()))) == TEXT


async def test_a_request_that_nobody_takes_is_refused() -> None:
    cluster = Cluster(scripts([NoReplica()]))
    with pytest.raises(NoReplica):
        await outputs_of(await cluster.start(cluster.gateway()))


async def test_a_stop_string_ends_the_run() -> None:
    cluster = Cluster(scripts([told(0, 20), told(20, END), finished()]))
    execution = await cluster.start(cluster.gateway(), stops=(" that",))
    outputs = await outputs_of(execution)
    assert text_of(outputs) == "a canvas"
    assert done_of(outputs).reason == "stop"
    await execution.ended()
    assert cluster.pool.aborted == ["request"]


async def test_a_cancelled_request_aborts_its_run_and_tells_its_readers() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    executions = cluster.gateway()
    execution = await cluster.start(executions)
    reading = asyncio.create_task(outputs_of(execution))
    await anext(execution.follow())
    await execution.cancel()
    with pytest.raises(RequestCancelled):
        await reading
    record = await cluster.store.get(KEY)
    assert record is not None
    assert record.status == "cancelled"
    assert cluster.pool.aborted == ["request"]
    executions.check_integrity()


async def test_a_request_cancelled_before_it_began_is_cancelled() -> None:
    cluster = Cluster(scripts([told(0, 8), asyncio.Event()]))
    execution = await cluster.start(cluster.gateway())
    await execution.cancel()
    record = await cluster.store.get(KEY)
    assert record is not None
    assert record.status == "cancelled"


async def test_cancelling_what_has_ended_changes_nothing() -> None:
    cluster = Cluster(scripts([told(0, END), finished()]))
    execution = await cluster.start(cluster.gateway())
    await outputs_of(execution)
    await execution.cancel()
    record = await cluster.store.get(KEY)
    assert record is not None
    assert record.status == "completed"


async def test_readers_that_come_late_or_leave_early_disturb_nobody() -> None:
    gate = asyncio.Event()
    cluster = Cluster(scripts([told(0, 8), gate, told(8, END), finished()]))
    execution = await cluster.start(cluster.gateway())
    early = asyncio.create_task(outputs_of(execution))
    leaving = execution.follow()
    await anext(leaving)
    await leaving.aclose()
    gate.set()
    await execution.ended()
    assert await early == await outputs_of(execution)


async def test_a_request_does_not_run_in_the_context_of_the_call_that_asked_for_it() -> None:
    call = ContextVar("call", default="none")
    seen: list[str] = []

    def script(request: Request) -> Iterator[Step]:
        seen.append(call.get())
        yield told(0, END)
        yield finished()

    call.set("the client's")
    cluster = Cluster(ScriptedPool(script))
    await outputs_of(await cluster.start(cluster.gateway()))
    assert seen == ["none"]


cuts = st.lists(st.integers(1, END - 1), max_size=8, unique=True).map(sorted)


@given(cuts, st.data())
async def test_the_answer_does_not_depend_on_where_replicas_are_lost(commits: list[int], data: st.DataObject) -> None:
    edges = [0, *commits, END]
    spans = list(pairwise(edges))
    losses = sorted(data.draw(st.sets(st.integers(1, len(spans)), max_size=4)))
    runs: list[list[Step]] = []
    begin = 0
    for loss in [*losses, None]:
        run: list[Step] = [told(start, stop) for start, stop in spans[begin:loss]]
        runs.append([*run, finished() if loss is None else ReplicaLost()])
        begin = begin if loss is None else loss
    cluster = Cluster(scripts(*runs))
    outputs = await outputs_of(await cluster.start(cluster.gateway()))
    assert text_of(outputs) == TEXT
    done_of(outputs)
