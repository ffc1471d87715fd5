"""What is told of a call when it is over: its root span, its numbers and its line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest

from deployments.errors import NoReplica, QueueFull, ReplicasLost, ServingError
from deployments.gateway.grpc.protos import open_inference_pb2 as open_pb
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.services import METHODS, method_of
from deployments.telemetry import attributes, names
from deployments.telemetry.access_log import Line, MemoryAccessLog
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.observation import Telemetry
from dllm_worker.request import Request
from tests.deployments.gateway.grpc.served import METADATA, Served, serving
from tests.deployments.gateway.scripted import KEY, TENANT, ScriptedPool, Step, byte_text, commits, message, saying
from tests.deployments.telemetry.recorder import Recorder
from tests.deployments.telemetry.trees import Told

PROMPT, ANSWER = "words-of-the-client", "words-of-the-model"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
UNARY, STREAMING = (f"dllm.inference.v1.InferenceService/{name}" for name in ("Generate", "StreamGenerate"))
ASKED = pb.Completion(model="tiny", prompt=PROMPT, max_tokens=64, seed=7)
LONG = pb.Completion(model="tiny", prompt=PROMPT, max_tokens=999)
BOTH = pytest.mark.parametrize("stream", [False, True])

Script = Callable[[Request], Iterable[Step]] | ScriptedPool


class Watched(MemoryAccessLog):
    """``written`` is set with the first line."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, line: Line) -> None:
        super().write(line)
        self.written.set()


class Reported:
    """What a gateway has told."""

    def __init__(self) -> None:
        self.recorder, self.metrics, self.log = Recorder(), MemoryMetrics(), Watched()
        self.telemetry = Telemetry(self.metrics, self.recorder.tracer, access_log=self.log)

    @property
    def root(self) -> Told:
        (root,) = (span for span in self.recorder.spans if span.kind == "SERVER")
        return root

    @property
    def line(self) -> Any:
        (line,) = self.log.lines
        return line

    @property
    def requests(self) -> list[tuple[str, ...]]:
        return [name[1:] for name in self.metrics.values if name[0] == names.REQUESTS.name]


@asynccontextmanager
async def reporting(script: Script) -> AsyncIterator[tuple[Served, Reported]]:
    reported = Reported()
    async with serving(script, telemetry=reported.telemetry) as served:
        yield served, reported


async def ask(
    served: Served, asked: pb.Completion = ASKED, *, stream: bool, metadata: Any = METADATA
) -> dict[str, Any]:
    """The metadata of the answer, of whose messages nothing is kept."""
    if not stream:
        call = served.inference.Generate(pb.GenerateRequest(completion=asked), metadata=metadata)
        await call
    else:
        call = served.inference.StreamGenerate(pb.StreamGenerateRequest(completion=asked), metadata=metadata)
        async for _ in call:
            pass
    return dict(await call.initial_metadata())


@BOTH
async def test_an_answer_is_told_in_all_three_ways(stream: bool) -> None:
    metadata = (*METADATA, ("x-request-id", "mine-1"), ("traceparent", f"00-{TRACE}-{PARENT}-01"))
    async with reporting(saying(ANSWER)) as (served, reported):
        beside = await ask(served, stream=stream, metadata=metadata)
    root, line = reported.root, reported.line
    method = STREAMING if stream else UNARY
    assert (root.name, root.trace, root.parent, root.failed) == (method, TRACE, PARENT, False)
    assert beside["traceparent"].split("-")[1:3] == [TRACE, root.id]
    told = {
        attributes.RPC_SYSTEM: "grpc",
        attributes.RPC_METHOD: method,
        attributes.RPC_STATUS: 0,
        attributes.OPERATION: "text_completion",
        attributes.REQUEST_STREAM: stream,
        attributes.REQUEST_SEED: 7,
        attributes.REQUEST_ID: "mine-1",
        attributes.TENANT: TENANT,
        attributes.OUTCOME: "ok",
        attributes.OUTPUT_TOKENS: len(ANSWER),
    }
    assert told.items() <= root.attributes.items()
    assert (line["trace_id"], line["span_id"], line["request_id"]) == (TRACE, root.id, "mine-1")
    assert (line["operation"], line["status"], line["stream"]) == (method, "OK", stream)
    assert line["bytes"] > len(ANSWER)
    assert reported.requests == [("tiny", "default", "ok")]
    assert [word for word in (PROMPT, ANSWER, KEY) if word in repr((reported.recorder.spans, line))] == []


REFUSED: dict[str, tuple[str, int, str, Any, Any]] = {
    "no key": ("UNAUTHENTICATED", 16, "invalid_api_key", ASKED, ()),
    "no model": ("NOT_FOUND", 5, "model_not_found", pb.Completion(model=PROMPT, prompt=PROMPT), METADATA),
    "too long": ("INVALID_ARGUMENT", 3, "context_length_exceeded", LONG, METADATA),
    "too late": ("INVALID_ARGUMENT", 3, "invalid_request_error", ASKED, (*METADATA, ("x-dllm-deadline-ms", "soon"))),
}


@BOTH
@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_is_told_by_its_code(case: str, stream: bool) -> None:
    status, number, code, asked, metadata = REFUSED[case]
    async with reporting(saying(ANSWER)) as (served, reported):
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(served, asked, stream=stream, metadata=metadata)
    told = reported.root.attributes
    assert (told[attributes.RPC_STATUS], told[attributes.ERROR_TYPE], reported.root.failed) == (number, code, False)
    assert (reported.line["status"], reported.line["outcome"], reported.line["error"]) == (status, code, code)
    assert PROMPT not in repr((reported.recorder.spans, reported.log.lines, reported.metrics.values))


@BOTH
@pytest.mark.parametrize("error", [QueueFull(), NoReplica(), ReplicasLost()], ids=lambda error: error.code)
async def test_what_the_service_fails_at_is_an_error_of_the_span(error: ServingError, stream: bool) -> None:
    async with reporting(lambda request: [error]) as (served, reported):
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(served, stream=stream)
    assert reported.root.failed == (error.status >= 500)
    assert (reported.line["status"], reported.line["error"]) == (error.grpc_status, error.code)
    assert reported.requests == [("tiny", "default", error.code)]


async def test_a_stream_that_breaks_has_the_error() -> None:
    def breaking(request: Request) -> list[Step]:
        return [(), *commits(request, [byte_text().encode(ANSWER)]), ReplicasLost()]

    async with reporting(breaking) as (served, reported):
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(served, stream=True)
    assert (reported.line["status"], reported.line["error"]) == ("INTERNAL", "replicas_lost")
    assert reported.line["bytes"] > 0
    assert reported.root.failed


@BOTH
async def test_a_client_that_leaves_has_cancelled(stream: bool) -> None:
    running = asyncio.Event()

    def stuck(request: Request) -> Iterator[Step]:
        yield ()
        yield message(*commits(request, [byte_text().encode(ANSWER)])[0])
        running.set()
        yield asyncio.Event()

    async with reporting(stuck) as (served, reported):
        asking = asyncio.ensure_future(ask(served, stream=stream))
        await running.wait()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(5.0):
            await reported.log.written.wait()
    assert (reported.line["status"], reported.line["outcome"]) == ("CANCELLED", "cancelled")
    assert not reported.root.failed
    assert reported.requests == [("tiny", "default", "cancelled")]


async def test_probes_are_told_of_only_when_they_fail() -> None:
    async with reporting(saying(ANSWER)) as (served, reported):
        await served.health.Check(HealthCheckRequest())
        watching = served.health.Watch(HealthCheckRequest())
        await watching.read()
        watching.cancel()
        await served.open_inference.ServerReady(open_pb.ServerReadyRequest())
        with pytest.raises(grpc.aio.AioRpcError):
            await served.health.Check(HealthCheckRequest(service="nothing"))
    assert (reported.line["operation"], reported.line["status"]) == ("grpc.health.v1.Health/Check", "NOT_FOUND")
    assert reported.root.name == "grpc.health.v1.Health/Check"


async def test_what_generates_nothing_has_a_line() -> None:
    async with reporting(saying(ANSWER)) as (served, reported):
        request = open_pb.ModelMetadataRequest(name="tiny")
        await served.open_inference.ModelMetadata(request, metadata=METADATA)
    assert reported.line["operation"] == "inference.GRPCInferenceService/ModelMetadata"
    assert (reported.line["model"], reported.line["tenant"]) == ("tiny", TENANT)
    assert attributes.OPERATION not in reported.root.attributes


def test_each_method_has_requests_of_its_own() -> None:
    assert method_of(pb.GenerateRequest()) == UNARY
    assert method_of(HealthCheckRequest()) == "grpc.health.v1.Health/Check"
    assert method_of(HealthCheckRequest(), streams=True) == "grpc.health.v1.Health/Watch"
    assert len(set(METHODS.values())) == 16
