"""``python -m loadtest.tracing_cost``: what it costs to record every request, as a ratio to recording none.

One cluster answers both kinds of requests in turn, in rounds of the order A B B A, so that both meet the same
processes, caches and neighbours: the client's ``traceparent`` says whether a request is recorded. Spans go by OTLP over
gRPC to a receiver in this process, which keeps them as they come and reads them when all is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import get_args

import grpc
from openai import AsyncOpenAI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    DESCRIPTOR,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from deployments.config import Serving
from loadtest.footprint import processor_seconds
from loadtest.stack_cost import ANSWER_TOKENS, MAX_STEPS, MODELS, TEMPERATURE, Cluster, cluster, prompt

CONCURRENCY = 16
PAIRS = 10
PATIENCE_SECONDS = 30.0
NOT_RECORDED, RECORDED = "00", "01"
EXPORT = DESCRIPTOR.services_by_name["TraceService"].methods_by_name["Export"]


@dataclass(frozen=True, slots=True)
class TracingCost:
    """Medians over the pairs of rounds. ``ratio`` is that of the tokens per second of one pair, recorded over not.

    ``processor_milliseconds`` are of all processes of the cluster for each request, not recorded and recorded; they
    change least with whatever else the machine does. ``spans`` are those of one recorded request.
    """

    serving: Serving
    model: str
    requests: int
    tokens_per_second: float
    ratio: float
    processor_milliseconds: tuple[float, float]
    spans: float


@dataclass(slots=True)
class Kept:
    """What has been exported, as bytes."""

    endpoint: str = ""
    exports: list[bytes] = field(default_factory=list)

    def spans(self, trace: str) -> list[str]:
        """The names of the spans of ``trace``."""
        return [
            span.name
            for exported in list(self.exports)
            for resource in ExportTraceServiceRequest.FromString(exported).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace
        ]


@contextmanager
def receiver() -> Iterator[Kept]:
    """A receiver that costs as little as one can."""
    kept, reply = Kept(), ExportTraceServiceResponse().SerializeToString()

    def keep(exported: bytes, context: grpc.ServicerContext) -> bytes:
        kept.exports.append(exported)
        return reply

    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {EXPORT.name: grpc.unary_unary_rpc_method_handler(keep)}
    service = grpc.method_handlers_generic_handler(EXPORT.containing_service.full_name, methods)
    threads = ThreadPoolExecutor(2)
    server = grpc.server(threads)
    server.add_generic_rpc_handlers([service])
    kept.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield kept
    finally:
        server.stop(None).wait()
        threads.shutdown()


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that were asked at once."""

    tokens_per_second: float
    processor_milliseconds: float
    traces: tuple[str, ...]


class Rounds:
    """Plays rounds on one cluster, whose requests all differ."""

    def __init__(self, running: Cluster, client: AsyncOpenAI) -> None:
        self._cluster, self._client = running, client
        self._asked = 0

    async def play(self, model: str, count: int, flag: str) -> Round:
        """``count`` requests that are recorded or not."""
        traces = tuple(secrets.token_hex(16) for _ in range(count))
        began, used = time.perf_counter(), processor_seconds(self._cluster.variable)
        tokens = sum(await asyncio.gather(*(self._ask(model, f"00-{trace}-{'1' * 16}-{flag}") for trace in traces)))
        seconds, used = time.perf_counter() - began, processor_seconds(self._cluster.variable) - used
        return Round(tokens / seconds, 1e3 * used / count, traces)

    async def _ask(self, model: str, traceparent: str) -> int:
        """The tokens of one streamed answer."""
        self._asked += 1
        stream = await self._client.completions.create(
            model=model,
            prompt=prompt(self._asked),
            max_tokens=ANSWER_TOKENS,
            temperature=TEMPERATURE,
            seed=self._asked,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"traceparent": traceparent},
            extra_body={"diffusion": {"algorithm": "low_confidence", "max_steps": MAX_STEPS}},
        )
        tokens = 0
        async for chunk in stream:
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        return tokens


async def measure(rounds: Rounds, kept: Kept, serving: Serving, model: str, pairs: int) -> TracingCost:
    """``pairs`` of rounds, each the other way round than the one before."""
    for flag in (RECORDED, NOT_RECORDED):
        await rounds.play(model, CONCURRENCY, flag)
    played: dict[str, list[Round]] = {NOT_RECORDED: [], RECORDED: []}
    for pair in range(pairs):
        for flag in sorted(played, reverse=bool(pair % 2)):
            played[flag].append(await rounds.play(model, CONCURRENCY, flag))
    plain, recorded = played[NOT_RECORDED], played[RECORDED]
    ratios = [b.tokens_per_second / a.tokens_per_second for a, b in zip(plain, recorded, strict=True)]
    return TracingCost(
        serving,
        model,
        CONCURRENCY,
        statistics.median(each.tokens_per_second for each in plain),
        statistics.median(ratios),
        (_processor(plain), _processor(recorded)),
        await _spans(kept, played),
    )


def _processor(played: Sequence[Round]) -> float:
    return statistics.median(each.processor_milliseconds for each in played)


async def _spans(kept: Kept, played: dict[str, list[Round]]) -> float:
    """Of a request of the last recorded round. Fails unless all of them have come, and nothing of the others."""
    traces, deadline = played[RECORDED][-1].traces, time.monotonic() + PATIENCE_SECONDS
    while not all("queue" in kept.spans(trace) for trace in traces):
        if time.monotonic() > deadline:
            raise SystemExit("spans of recorded requests did not arrive")
        await asyncio.sleep(0.5)
    if any(kept.spans(trace) for trace in played[NOT_RECORDED][-1].traces):
        raise SystemExit("spans of requests arrived that were not to be recorded")
    return statistics.fmean(len(kept.spans(trace)) for trace in traces)


async def compare(serving: Serving, models: Sequence[str], pairs: int) -> list[TracingCost]:
    """One row for each model."""
    with receiver() as kept:
        traces = {"exporter": "otlp", "endpoint": kept.endpoint, "protocol": "grpc"}
        with cluster(serving, {"traces": traces}) as running:
            async with AsyncOpenAI(base_url=running.base_url, api_key=running.api_key) as client:
                rounds = Rounds(running, client)
                return [await measure(rounds, kept, serving, model, pairs) for model in models]


def main() -> None:
    """Print a row for each measurement as JSON."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.tracing_cost", description=__doc__)
    parser.add_argument("--serving", choices=get_args(Serving), default="default")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args()
    rows = asyncio.run(compare(options.serving, options.models, options.pairs))
    print(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
