from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status.rpc_status import from_call

from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.settings import GatewaySettings
from deployments.run import Progress, Run
from deployments.tenancy.declared import TenantConfig
from dllm_worker.request import Request
from tests.deployments.gateway.grpc.served import METADATA, Served, serving
from tests.deployments.gateway.grpc.test_parity import watched
from tests.deployments.gateway.scripted import (
    AUTHORIZED,
    OTHER_KEY,
    ScriptedPool,
    Step,
    byte_text,
    commits,
    finish,
    saying,
    tenancy,
)

CHAT = pb.Chat(model="tiny", messages=[pb.Message(role=pb.ROLE_USER, content="hi")])
STORED = pb.Chat(model="tiny", messages=[pb.Message(role=pb.ROLE_USER, content="hi")], store_stream=True)
OTHERS = (("authorization", f"Bearer {OTHER_KEY}"),)


def halting(gate: asyncio.Event) -> ScriptedPool:
    """Says a part, and the rest when ``gate`` opens."""

    def script(request: Request) -> list[Any]:
        first, second = commits(request, [byte_text().encode("Hel"), byte_text().encode("lo")])
        return [(), first, gate, second, finish(request, 5)]

    return ScriptedPool(script)


async def events(call: Any) -> list[pb.Event]:
    return [response.event async for response in call]


def kinds(events: list[pb.Event]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


def fault(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Code and field of an error."""
    info, bad = ErrorInfo(), BadRequest()
    for detail in from_call(error).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return info.reason, bad.field_violations[0].field if bad.field_violations else ""


async def test_events_are_numbered_from_one_and_end_with_the_usage() -> None:
    async with serving(saying("Hel", "lo")) as served:
        told = await events(served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=CHAT), metadata=METADATA))
    assert kinds(told) == ["header", "committed", "committed", "finished", "usage"]
    assert [event.sequence for event in told] == [1, 2, 3, 4, 5]
    assert not told[1].committed.HasField("hole")


async def test_a_view_of_the_canvas_has_the_number_before_it() -> None:
    chat = pb.Chat(diffusion=pb.Diffusion(stream=pb.WATCHING_CANVAS))
    chat.MergeFrom(CHAT)
    async with serving(watched) as served:
        told = await events(served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=chat), metadata=METADATA))
    assert kinds(told) == ["header", "canvas", "canvas", "committed", "finished", "usage"]
    assert [event.sequence for event in told] == [1, 1, 1, 2, 3, 4]


@pytest.mark.parametrize("after", range(7))
async def test_a_stored_stream_is_told_again_behind_any_event(after: int) -> None:
    async with serving(saying("Hel", "lo")) as served:
        told = await events(served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=STORED), metadata=METADATA))
        request = pb.ResumeGenerateRequest(id=told[0].header.id, after_sequence=after)
        again = await events(served.inference.ResumeGenerate(request, metadata=METADATA))
    assert again == told[after:]


async def test_a_stored_stream_goes_on_when_its_reader_has_left() -> None:
    gate = asyncio.Event()
    async with serving(halting(gate)) as served:
        call = served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=STORED), metadata=METADATA)
        begun = [(await anext(aiter(call))).event for _ in range(2)]
        call.cancel()
        again = served.inference.ResumeGenerate(pb.ResumeGenerateRequest(id=begun[0].header.id), metadata=METADATA)
        seen = [(await anext(aiter(again))).event for _ in range(2)]
        gate.set()
        rest = await events(again)
    assert seen == begun
    assert kinds(rest) == ["committed", "finished", "usage"]


class Left(ScriptedPool):
    """Says that a request runs, and that it does not any more."""

    def __init__(self) -> None:
        self.running, self.left = asyncio.Event(), asyncio.Event()
        super().__init__(self._half)

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        return self._noted(super().generate(run))

    def _half(self, request: Request) -> Iterator[Step]:
        yield from [(), *commits(request, [byte_text().encode("Hel")])]
        self.running.set()
        yield asyncio.Event()

    async def _noted(self, messages: AsyncGenerator[Progress]) -> AsyncGenerator[Progress]:
        try:
            async with aclosing(messages):
                async for message in messages:
                    yield message
        finally:
            self.left.set()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_frees_the_canvas(stream: bool) -> None:
    pool = Left()
    async with serving(pool) as served, asyncio.timeout(10):
        if stream:
            call = served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=CHAT), metadata=METADATA)
        else:
            call = served.inference.Generate(pb.GenerateRequest(chat=CHAT), metadata=METADATA)
        await pool.running.wait()
        call.cancel()
        await pool.left.wait()
    assert pool.aborted == [pool.requests[0].id]


async def test_the_deadline_of_a_call_is_that_of_the_engine() -> None:
    pool = ScriptedPool(saying("Hello"))
    async with serving(pool) as served:
        await served.inference.Generate(pb.GenerateRequest(chat=CHAT), metadata=METADATA, timeout=100)
        await served.inference.Generate(pb.GenerateRequest(chat=CHAT), metadata=METADATA)
    timed, untimed = pool.requests
    assert timed.deadline is not None
    assert 50 < timed.deadline - served.gateway.clock() < 96
    assert untimed.deadline is None


async def test_a_running_request_is_cancelled() -> None:
    async with serving(halting(asyncio.Event())) as served:
        call = served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=CHAT), metadata=METADATA)
        header = (await anext(aiter(call))).event.header
        answer = await served.inference.Cancel(pb.CancelRequest(id=header.id), metadata=METADATA)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await events(call)
    assert (answer.id, answer.status) == (header.id, pb.REQUEST_STATUS_CANCELLED)
    assert (ended.value.code(), fault(ended.value)[0]) == (grpc.StatusCode.CANCELLED, "request_cancelled")


async def others(served: Served, id: str) -> list[str]:
    """What another tenant is told of the request."""
    told = []
    for call in (
        served.inference.Cancel(pb.CancelRequest(id=id), metadata=OTHERS),
        aiter(served.inference.ResumeGenerate(pb.ResumeGenerateRequest(id=id), metadata=OTHERS)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await (anext(call) if hasattr(call, "__anext__") else call)
        told.append(f"{refused.value.code().name} {fault(refused.value)[0]}")
    return told


async def test_a_request_of_another_tenant_is_not_there() -> None:
    async with serving(saying("Hello")) as served:
        call = served.inference.StreamGenerate(pb.StreamGenerateRequest(chat=STORED), metadata=METADATA)
        id = (await events(call))[0].header.id
        assert await others(served, id) == await others(served, "nothing") == ["NOT_FOUND response_not_found"] * 2


async def test_a_number_of_an_event_is_not_negative() -> None:
    async with serving(saying("Hello")) as served:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await events(
                served.inference.ResumeGenerate(pb.ResumeGenerateRequest(id="x", after_sequence=-1), metadata=METADATA)
            )
    assert fault(refused.value) == ("invalid_request_error", "after_sequence")


async def test_a_task_is_expected() -> None:
    async with serving(saying("Hello")) as served:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.inference.Generate(pb.GenerateRequest(), metadata=METADATA)
    assert fault(refused.value) == ("invalid_request_error", "task")


async def test_the_models_are_those_of_rest() -> None:
    async with serving(saying("Hello")) as served:
        answer = await served.inference.ListModels(pb.ListModelsRequest(), metadata=METADATA)
        async with served.http() as http:
            listed = (await http.get("/v1/models", headers=AUTHORIZED)).json()["data"]
    (model,) = answer.models
    assert [{"id": model.id, "created": model.created.seconds, "owned_by": model.owned_by}] == [
        {name: entry[name] for name in ("id", "created", "owned_by")} for entry in listed
    ]
    assert MessageToDict(model.dllm) == listed[0]["dllm"]


async def test_a_model_that_the_key_does_not_open_is_not_listed() -> None:
    declared = tenancy(TenantConfig(name="acme", models=["another"]))
    async with serving(saying("Hello"), declared=declared) as served:
        answer = await served.inference.ListModels(pb.ListModelsRequest(), metadata=METADATA)
    assert not answer.models


async def test_the_limit_of_a_message_is_that_of_a_body() -> None:
    request = pb.GenerateRequest(chat=CHAT)
    for most, code in ((request.ByteSize(), None), (request.ByteSize() - 1, "request_too_large")):
        async with serving(saying("Hello"), GatewaySettings(max_body_bytes=most)) as served:
            if code is None:
                await served.inference.Generate(request, metadata=METADATA)
                continue
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await served.inference.Generate(request, metadata=METADATA)
            assert (refused.value.code(), fault(refused.value)[0]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, code)


async def test_only_what_is_sent_twice_alike_is_a_repetition() -> None:
    keyed = (*METADATA, ("idempotency-key", "k"))
    async with serving(saying("Hello")) as served:
        first = await served.inference.Generate(pb.GenerateRequest(chat=CHAT), metadata=keyed)
        call = served.inference.Generate(pb.GenerateRequest(chat=CHAT), metadata=keyed)
        assert await call == first
        assert dict(await call.initial_metadata())["idempotent-replayed"] == "true"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.inference.Generate(
                pb.GenerateRequest(chat=pb.Chat(seed=1, model=CHAT.model, messages=CHAT.messages)), metadata=keyed
            )
    assert (refused.value.code(), fault(refused.value)[0]) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "idempotency_key_reused",
    )
