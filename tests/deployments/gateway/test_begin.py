"""Requests over REST to gateways whose spans are kept: what comes before an answer, and trees as their clients see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deployments.state.memory import MemoryStore
from deployments.telemetry.observation import Telemetry
from deployments.tenancy.declared import TenantConfig, TenantLimits
from tests.deployments.gateway.scripted import TENANT, client, gateway, saying, tenancy
from tests.deployments.telemetry.trees import Told, outline, told_in_memory, traces

PATH = "/v1/completions"
BODY: dict[str, Any] = {"model": "tiny", "prompt": "hi", "max_tokens": 4}

ANSWERED = """POST /v1/completions
  admit
  generate tiny
  queue
  route"""


@dataclass
class Kept:
    """The spans of a gateway."""

    http: httpx.AsyncClient
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    @property
    def spans(self) -> list[Told]:
        return told_in_memory(self.exporter.get_finished_spans())

    @property
    def outlines(self) -> list[str]:
        """Of each trace, in the order of their first spans."""
        return [outline(spans) for spans in traces(self.spans).values()]

    def only(self, name: str) -> Told:
        (span,) = (span for span in self.spans if span.name == name)
        return span


@asynccontextmanager
async def kept(*texts: str, limits: TenantLimits | None = None) -> AsyncIterator[Kept]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    declared = tenancy() if limits is None else tenancy(TenantConfig(name=TENANT, limits=limits))
    telemetry = Telemetry(tracer=provider.get_tracer("test"))
    app = gateway(saying(*texts), MemoryStore(), declared=declared, telemetry=telemetry)
    async with client(app) as http:
        yield Kept(http, exporter)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_one_tree(stream: bool) -> None:
    async with kept("ok") as gateway:
        assert (await gateway.http.post(PATH, json={**BODY, "stream": stream})).status_code == 200
    assert [outline.replace("\n  stream", "") for outline in gateway.outlines] == [ANSWERED]


async def test_the_root_tells_what_became_of_the_answer() -> None:
    async with kept("ok") as gateway:
        await gateway.http.post(PATH, json=BODY)
    told = gateway.only(f"POST {PATH}").attributes
    assert (told["gen_ai.usage.output_tokens"], told["gen_ai.response.finish_reasons"]) == (2, ["stop"])


async def test_admission_says_what_was_reserved_and_who_counted() -> None:
    async with kept("ok") as gateway:
        await gateway.http.post(PATH, json=BODY)
    told = gateway.only("admit").attributes
    assert told == {"dllm.limit.mode": "shared", "dllm.reserved.work": 19, "dllm.reserved.tokens": 7}


async def test_several_answers_to_one_request_are_one_tree() -> None:
    async with kept("ok") as gateway:
        await gateway.http.post(PATH, json={**BODY, "n": 2})
    (tree,) = gateway.outlines
    assert sorted(tree.split("\n  ")[1:]) == ["admit", *["generate tiny"] * 2, *["queue"] * 2, *["route"] * 2]
    assert gateway.only("admit").attributes["dllm.reserved.work"] == 2 * 19


async def test_what_a_limit_refuses_ends_in_admission() -> None:
    async with kept("ok", limits=TenantLimits(requests_per_minute=1)) as gateway:
        await gateway.http.post(PATH, json=BODY)
        assert (await gateway.http.post(PATH, json=BODY)).status_code == 429
    assert gateway.outlines == [ANSWERED, f"POST {PATH}\n  admit"]
    refused = next(span for span in gateway.spans if span.name == "admit" and span.failed)
    assert refused.attributes == {"error.type": "rate_limit_exceeded"}


async def test_an_answer_that_is_told_again_is_not_generated_again() -> None:
    async with kept("ok") as gateway:
        for _ in range(2):
            response = await gateway.http.post(PATH, json=BODY, headers={"idempotency-key": "once"})
            assert response.status_code == 200
    assert gateway.outlines == [ANSWERED, f"POST {PATH}\n  admit"]
    assert not any(span.failed for span in gateway.spans)


async def test_no_span_has_what_was_asked_or_answered() -> None:
    async with kept("a confidential answer") as gateway:
        await gateway.http.post(PATH, json={**BODY, "prompt": "a private question", "max_tokens": 21})
    written = repr(gateway.exporter.get_finished_spans()) + repr(gateway.spans)
    assert not any(word in written for word in ("private", "confidential"))
