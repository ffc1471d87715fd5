"""The whole trace of a request over REST and over gRPC, span by span, with replicas that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from textwrap import dedent

import grpc
import pytest
from starlette.requests import ClientDisconnect

from deployments.errors import ReplicaLost
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.replica.denoise_span import traced
from deployments.run import CanvasTimes, Progress, Run
from deployments.telemetry import attributes
from deployments.telemetry.observation import Telemetry
from deployments.tenancy.declared import TenantConfig, TenantLimits
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.grpc.served import METADATA, Served, serving
from tests.deployments.gateway.scripted import (
    CHECKPOINT,
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    commits,
    finish,
    tenancy,
)
from tests.deployments.telemetry.recorder import Recorder
from tests.deployments.telemetry.trees import Told, outline, traces

CLIENT = "b7ad6b7169203331"
TRACEPARENT = f"00-0af7651916cd43dd8448eb211c80319c-{CLIENT}-01"
PROMPT, WORDS = "words that no span may have", ("hello", "world")


def times(index: int, *, ended: bool = True) -> CanvasTimes:
    return CanvasTimes(index, 32, 0.25, 1.0, 4, 64, 5, ended, ((1, 0.25, 5 * index), (4, 1.0, 5 * index + 5)))


def two_canvases(request: Request) -> list[Step]:
    """Each with a word."""
    first, second = commits(request, [byte_text().encode(word) for word in WORDS])
    return [
        Progress(admitted=False, replica="r1"),
        Progress(),
        Progress(first, checkpoint=CHECKPOINT, canvases=(times(0),)),
        Progress((*second, *finish(request, 10)), checkpoint=CHECKPOINT, canvases=(times(1),)),
    ]


@dataclass(slots=True)
class Replicas(ScriptedPool):
    """Replicas as workers run them; those whose number is in ``killed`` take their own span along."""

    recorder: Recorder = field(default_factory=Recorder)
    killed: Sequence[int] = ()

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        number = len(self.runs)
        messages = ScriptedPool.generate(self, run)
        if not run.trace or number in self.killed:
            return messages
        self.messages.append(traced(messages, run, self.recorder.tracer, "tiny", f"r{number}"))
        return self.messages[-1]


@dataclass(slots=True)
class Client:
    """Asks in one protocol, and comes back when the answer is over or it has left."""

    served: Served
    protocol: str
    traceparent: str = TRACEPARENT
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, model: str = "tiny", *, stream: bool = False) -> None:
        await (self._post(model, stream=stream) if self.protocol == "rest" else self._call(model, stream=stream))

    async def _post(self, model: str, *, stream: bool) -> None:
        body = {"model": model, "prompt": PROMPT, "max_tokens": 64, "stream": stream}
        async with self.served.http() as http:
            await http.post("/v1/completions", json=body, headers={"traceparent": self.traceparent})

    async def _call(self, model: str, *, stream: bool) -> None:
        asked, metadata = (
            pb.Completion(model=model, prompt=PROMPT, max_tokens=64),
            (*METADATA, ("traceparent", self.traceparent)),
        )
        with suppress(grpc.aio.AioRpcError):
            if not stream:
                await self.served.inference.Generate(pb.GenerateRequest(completion=asked), metadata=metadata)
                return
            request = pb.StreamGenerateRequest(completion=asked)
            async for _ in self.served.inference.StreamGenerate(request, metadata=metadata):
                self.heard.set()

    async def leave(self, running: asyncio.Event, *, stream: bool) -> None:
        """Ask, and go away when it is ``running``, and a part of the stream has come."""
        if self.protocol == "rest":
            body = {"model": "tiny", "prompt": PROMPT, "max_tokens": 64, "stream": stream}
            connection = Connection(self.served.application, "/v1/completions", body, traceparent=TRACEPARENT)
            asking = asyncio.ensure_future(connection.run())
            await running.wait()
            if stream:
                await connection.parts.get()
            connection.leave()
            with suppress(ClientDisconnect):
                await asking
            return
        asking = asyncio.ensure_future(self._call("tiny", stream=stream))
        await running.wait()
        if stream:
            await self.heard.wait()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


ROOTS = {
    ("rest", False): "POST /v1/completions",
    ("rest", True): "POST /v1/completions",
    ("grpc", False): "dllm.inference.v1.InferenceService/Generate",
    ("grpc", True): "dllm.inference.v1.InferenceService/StreamGenerate",
}
every_way = pytest.mark.parametrize(("protocol", "stream"), list(ROOTS))


WHOLE = """
    admit
    generate tiny
      canvas
      canvas
      denoise tiny
      prefill
    queue
    route
"""

FAILED_OVER = """
    admit
    generate tiny
      canvas
      canvas
      prefill
    generate tiny
      canvas
      denoise tiny
      prefill
    migrate
    queue
    route
    route
"""

STREAM = "    stream\n"


async def spans_of(recorder: Recorder, protocol: str, expected: str, *, stream: bool) -> list[Told]:
    """The spans of the request's trace, which are ``expected`` below its root; what ends behind it may take a while."""
    lines = [ROOTS[protocol, stream], *(f"  {line}" for line in dedent(expected).strip().splitlines())]
    (spans,) = traces(await recorder.reaches(len(lines))).values()
    assert outline(spans, CLIENT) == "\n".join(lines)
    assert PROMPT not in repr(spans)
    assert not any(word in repr(spans) for word in WORDS)
    return spans


def named(spans: Sequence[Told], name: str) -> list[Told]:
    return [span for span in spans if span.name == name]


@every_way
async def test_an_answer(protocol: str, stream: bool) -> None:
    pool = Replicas(two_canvases)
    async with serving(pool, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        await Client(served, protocol).ask(stream=stream)
        spans = await spans_of(pool.recorder, protocol, WHOLE + (STREAM if stream else ""), stream=stream)
    assert [span.kind for name in ("generate tiny", "denoise tiny") for span in named(spans, name)] == [
        "CLIENT",
        "SERVER",
    ]
    canvases = named(spans, "canvas")
    assert [span.attributes[attributes.CANVAS_INDEX] for span in canvases] == [0, 1]
    assert [[event for event, _ in span.events] for span in canvases] == [[attributes.STEP_SUMMARY] * 2] * 2
    assert not any(span.failed for span in spans)


@every_way
async def test_a_replica_that_is_killed_takes_nothing_along_but_its_own_span(protocol: str, stream: bool) -> None:
    def killed_once(request: Request) -> Iterator[Step]:
        messages = two_canvases(request)
        if len(pool.runs) > 1:
            yield Progress(admitted=False, replica="r2")
            yield from messages[3:]
            return
        yield from messages[:3]
        yield ReplicaLost()

    pool = Replicas(killed_once, killed=[0])
    async with serving(pool, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        await Client(served, protocol).ask(stream=stream)
        spans = await spans_of(pool.recorder, protocol, FAILED_OVER + (STREAM if stream else ""), stream=stream)
    first, second = named(spans, "generate tiny")
    assert [first.failed, second.failed] == [True, False]
    assert first.attributes[attributes.ERROR_TYPE] == ReplicaLost.code
    assert second.attributes[attributes.EPOCH] == first.attributes[attributes.EPOCH] + 1
    (denoise,) = named(spans, "denoise tiny")
    assert denoise.parent == second.id
    (migrate,) = named(spans, "migrate")
    assert migrate.attributes[attributes.MIGRATED_FROM] == "r1"
    assert migrate.attributes[attributes.MIGRATED_TO] == "r2"


@every_way
async def test_a_client_that_leaves(protocol: str, stream: bool) -> None:
    running = asyncio.Event()

    def stuck(request: Request) -> Iterator[Step]:
        yield from two_canvases(request)[:3]
        running.set()
        yield asyncio.Event()

    pool = Replicas(stuck)
    async with serving(pool, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        await Client(served, protocol).leave(running, stream=stream)
        spans = await spans_of(pool.recorder, protocol, WHOLE + (STREAM if stream else ""), stream=stream)
    (denoise,) = named(spans, "denoise tiny")
    assert denoise.attributes[attributes.OUTCOME] == "aborted"
    assert not any(span.failed for span in spans)


@every_way
async def test_a_refused_request_is_its_root(protocol: str, stream: bool) -> None:
    pool = Replicas(two_canvases)
    async with serving(pool, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        await Client(served, protocol).ask("unknown", stream=stream)
        (root,) = await spans_of(pool.recorder, protocol, "", stream=stream)
    assert root.attributes[attributes.ERROR_TYPE] == "model_not_found"


@every_way
async def test_a_request_beyond_a_limit_ends_where_it_is_refused(protocol: str, stream: bool) -> None:
    pool = Replicas(two_canvases)
    declared = tenancy(TenantConfig(name=TENANT, limits=TenantLimits(requests_per_minute=1)))
    async with serving(pool, declared=declared, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        client = Client(served, protocol, TRACEPARENT[:-1] + "0")
        await client.ask(stream=stream)
        client.traceparent = TRACEPARENT
        await client.ask(stream=stream)
        spans = await spans_of(pool.recorder, protocol, "admit", stream=stream)
    assert {span.attributes[attributes.ERROR_TYPE] for span in spans} == {"rate_limit_exceeded"}


@every_way
async def test_what_the_client_has_decided_not_to_record_is_not_recorded(protocol: str, stream: bool) -> None:
    pool = Replicas(two_canvases)
    async with serving(pool, telemetry=Telemetry(tracer=pool.recorder.tracer)) as served:
        client = Client(served, protocol, TRACEPARENT[:-1] + "0")
        await client.ask(stream=stream)
    assert [run.trace for run in pool.runs] == [""]
    assert pool.recorder.spans == []
