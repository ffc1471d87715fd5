"""Whole traces of a cluster with real processes, as a collector has them: no span is missing, and none has lost its
parent.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from textwrap import indent
from unittest import mock

import grpc
import httpx
import pytest

from cluster.valkey import free_port
from deployments.config import GrpcConfig
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from deployments.telemetry import attributes
from deployments.telemetry.config import TelemetryConfig, TracesConfig
from tests.chaos.clusters import KEY, SIMULATED, ChaosCluster, chaos_cluster, configuration, simulated
from tests.chaos.nemesis import Nemesis
from tests.deployments.telemetry.receivers import Receiver, grpc_receiver
from tests.deployments.telemetry.trees import BrokenTree, Told, outline, traces

pytestmark = pytest.mark.full

TOKENS, LONG, CANVAS = 64, 256, 32
CLIENT = "b7ad6b7169203331"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
ROOTS = {
    ("rest", False): "POST /v1/completions",
    ("rest", True): "POST /v1/completions",
    ("grpc", False): "dllm.inference.v1.InferenceService/Generate",
    ("grpc", True): "dllm.inference.v1.InferenceService/StreamGenerate",
}
every_way = pytest.mark.parametrize(("protocol", "stream"), list(ROOTS))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with grpc_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def cluster(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosCluster]:
    exporting = TracesConfig(exporter="otlp", endpoint=receiver.endpoint, protocol="grpc", engine_steps=0.2)
    changes = {"grpc": GrpcConfig(port=free_port()), "telemetry": TelemetryConfig(traces=exporting)}
    config = configuration(simulated(2)).model_copy(update=changes)
    with ExitStack() as parts:
        parts.enter_context(mock.patch.dict(os.environ, SOON))
        yield parts.enter_context(chaos_cluster(config, tmp_path_factory.mktemp("traces")))


@pytest.fixture
async def nemesis(cluster: ChaosCluster) -> Nemesis:
    nemesis = Nemesis(cluster.notes)
    await cluster.ready(nemesis)
    return nemesis


def prompt(traceparent: str) -> str:
    """One of which nothing is cached."""
    return f"# {traceparent}\n" + "# words that no span may have\n" * 4


@dataclass(frozen=True, slots=True)
class Asking:
    """A client of both protocols, each of whose requests has a trace of its own."""

    http: httpx.AsyncClient
    grpc: InferenceServiceStub
    receiver: Receiver

    async def ask(
        self,
        protocol: str,
        *,
        stream: bool = False,
        tokens: int = TOKENS,
        model: str = SIMULATED,
        at_text: Callable[[str], bool] | None = None,
    ) -> str:
        """The trace of a request that is over. ``at_text`` hears the answer's id with each part of a stream from the
        one on that is certain to lie behind the first canvas, and says whether the client leaves.
        """
        trace = secrets.token_hex(16)
        ask = self._post if protocol == "rest" else self._call
        await ask(f"00-{trace}-{CLIENT}-01", stream, tokens, model, at_text)
        return trace

    async def _post(
        self, traceparent: str, stream: bool, tokens: int, model: str, at_text: Callable[[str], bool] | None
    ) -> None:
        body = {"model": model, "prompt": prompt(traceparent), "max_tokens": tokens, "seed": 7, "stream": stream}
        headers = {"traceparent": traceparent}
        heard = 0
        async with self.http.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
            async for line in answer.aiter_lines():
                named = re.search(r'"id":"([^"]+)"', line)
                heard += named is not None
                if at_text is not None and named is not None and heard > CANVAS and at_text(named[1]):
                    return

    async def _call(
        self, traceparent: str, stream: bool, tokens: int, model: str, at_text: Callable[[str], bool] | None
    ) -> None:
        asked = pb.Completion(model=model, prompt=prompt(traceparent), max_tokens=tokens, seed=7)
        metadata = (("authorization", f"Bearer {KEY}"), ("traceparent", traceparent))
        with suppress(grpc.aio.AioRpcError):
            if not stream:
                await self.grpc.Generate(pb.GenerateRequest(completion=asked), metadata=metadata)
                return
            call, name = self.grpc.StreamGenerate(pb.StreamGenerateRequest(completion=asked), metadata=metadata), ""
            heard = 0
            async for response in call:
                name, heard = response.event.header.id or name, heard + 1
                if at_text is not None and heard > CANVAS and at_text(name):
                    call.cancel()
                    return

    def tree(self, trace: str, root: str, expected: str) -> list[Told]:
        """The spans of ``trace``, once they are those that are ``expected`` below its ``root``."""
        lines = f"{root}\n{indent(expected.strip(), '  ')}".strip()

        def whole(spans: list[Told]) -> bool:
            own = traces(spans).get(trace, [])
            try:
                return len(squeezed(own).splitlines()) >= len(lines.splitlines())
            except BrokenTree:
                return False

        with suppress(TimeoutError):
            self.receiver.wait_for(whole)
        own = traces(self.receiver.spans)[trace]
        assert squeezed(own) == lines
        assert "no span may have" not in repr(own)
        return own


def squeezed(spans: list[Told]) -> str:
    """The outline of ``spans``, without the calls of the state store, and with neighbouring canvases as one."""
    return re.sub(r"(\n *canvas)\1+", r"\1", re.sub(r"\n *redis .*", "", outline(spans, CLIENT)))


@pytest.fixture
async def asking(cluster: ChaosCluster, receiver: Receiver, nemesis: Nemesis) -> AsyncIterator[Asking]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        httpx.AsyncClient(base_url=cluster.base_url, headers=headers, timeout=60.0) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{cluster.config.grpc.port}") as channel,
    ):
        yield Asking(http, InferenceServiceStub(channel), receiver)


def named(spans: list[Told], name: str) -> list[Told]:
    return [span for span in spans if span.name.split()[0] == name]


WHOLE = f"""
admit
generate {SIMULATED}
  canvas
  denoise {SIMULATED}
  prefill
queue
route
"""
FAILED_OVER = f"""
admit
generate {SIMULATED}
  canvas
  prefill
generate {SIMULATED}
  canvas
  denoise {SIMULATED}
  prefill
migrate
queue
route
route
"""
STREAM = "stream\n"


@every_way
async def test_an_answer(asking: Asking, protocol: str, stream: bool) -> None:
    trace = await asking.ask(protocol, stream=stream)
    spans = asking.tree(trace, ROOTS[protocol, stream], WHOLE + (STREAM if stream else ""))
    (denoise,), canvases = named(spans, "denoise"), named(spans, "canvas")
    assert denoise.resource["service.name"] == "dllm-worker"
    assert {span.resource["service.name"] for span in canvases} == {"dllm-gateway"}
    for name in (attributes.DENOISE_STEPS, attributes.POSITION_FORWARDS, attributes.COMMITTED_TOKENS):
        assert sum(span.attributes[name] for span in canvases) == denoise.attributes[name]
    assert denoise.attributes[attributes.COMMITTED_TOKENS] == TOKENS
    assert [span.attributes[attributes.CANVAS_INDEX] for span in canvases] == list(range(len(canvases)))
    assert all(span.began <= span.ended for span in spans)
    calls = {(span.name, parent.name) for span in named(spans, "redis") for parent in spans if parent.id == span.parent}
    assert {("redis limits.reserve", "admit"), ("redis queue.enter", "queue")} <= calls


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
async def test_a_worker_that_is_killed(asking: Asking, nemesis: Nemesis, protocol: str) -> None:
    killed: list[int] = []

    def kill(answer: str) -> bool:
        replica = nemesis.running(answer, SIMULATED)
        if replica is not None and not killed:
            killed.append(nemesis.kill(replica).pid)
        return False

    trace = await asking.ask(protocol, stream=True, tokens=LONG, at_text=kill)
    assert killed
    spans = asking.tree(trace, ROOTS[protocol, True], FAILED_OVER + STREAM)
    first, second = named(spans, "generate")
    assert first.failed
    assert not second.failed
    (denoise,), (migrate,) = named(spans, "denoise"), named(spans, "migrate")
    assert denoise.parent == second.id
    assert migrate.attributes[attributes.MIGRATED_TO] == denoise.resource["service.instance.id"]
    assert migrate.attributes[attributes.MIGRATED_FROM] != migrate.attributes[attributes.MIGRATED_TO]


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
async def test_a_client_that_leaves(asking: Asking, protocol: str) -> None:
    trace = await asking.ask(protocol, stream=True, tokens=LONG, at_text=bool)
    spans = asking.tree(trace, ROOTS[protocol, True], WHOLE + STREAM)
    assert [span.attributes[attributes.OUTCOME] for span in named(spans, "denoise")] == ["aborted"]
    assert not any(span.failed for span in spans)


@every_way
async def test_a_refused_request(asking: Asking, protocol: str, stream: bool) -> None:
    trace = await asking.ask(protocol, stream=stream, model="unknown")
    (root,) = asking.tree(trace, ROOTS[protocol, stream], "")
    assert root.attributes[attributes.ERROR_TYPE] == "model_not_found"


async def test_steps_have_traces_of_their_own_and_link_to_those_who_were_in_them(asking: Asking) -> None:
    trace = await asking.ask("rest", tokens=LONG)
    (generate,) = named(asking.tree(trace, ROOTS["rest", False], WHOLE), "generate")

    def linked(spans: list[Told]) -> bool:
        return any((trace, generate.id) in span.links for span in spans)

    steps = [span for span in asking.receiver.wait_for(linked) if span.name == attributes.ENGINE_STEP]
    assert not any(span.parent for span in steps)
    assert len({span.trace for span in steps}) == len(steps)
