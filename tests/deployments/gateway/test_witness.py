"""What is told of a request over HTTP when it is over: its root span, its numbers and its line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import INVALID_SPAN, get_current_span
from starlette.requests import ClientDisconnect

from deployments.errors import DeadlineExceeded, NoReplica, QueueFull, ReplicasLost, ServingError
from deployments.gateway.settings import GatewaySettings
from deployments.telemetry import attributes, names
from deployments.telemetry.access_log import Line, MemoryAccessLog
from deployments.telemetry.metrics import MemoryMetrics, Metric
from deployments.telemetry.named_tenants import OTHER, NamedTenants
from deployments.telemetry.observation import Telemetry
from dllm_worker.request import Request
from tests.deployments.gateway.asgi import Connection
from tests.deployments.gateway.scripted import (
    KEY,
    OTHER_KEY,
    OTHER_TENANT,
    TENANT,
    ScriptedPool,
    Step,
    byte_text,
    client,
    commits,
    gateway,
    message,
    saying,
)
from tests.deployments.telemetry.recorder import Recorder
from tests.deployments.telemetry.trees import Told

PROMPT, ANSWER = "words-of-the-client", "words-of-the-model"
BODY = {"model": "tiny", "prompt": PROMPT, "max_tokens": 64, "seed": 7}
STORED = {"stream": True, "store_stream": True}
PATH = "/v1/completions"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORDED, UNRECORDED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"

Script = Callable[[Request], Iterable[Step]] | ScriptedPool


class Reported:
    """A gateway whose reports are kept. The clock of the gateway stands still."""

    def __init__(self, script: Script | None = None, settings: GatewaySettings | None = None, named: int = 50) -> None:
        self.recorder, self.metrics, self.log = Recorder(), MemoryMetrics(), MemoryAccessLog()
        telemetry = Telemetry(self.metrics, self.recorder.tracer, NamedTenants(named), self.log)
        self.app = gateway(script or saying(ANSWER), settings=settings, telemetry=telemetry)

    async def ask(self, method: str = "POST", path: str = PATH, key: str = KEY, **given: Any) -> httpx.Response:
        async with client(self.app, key) as http:
            return await http.request(method, path, **given)

    @property
    def root(self) -> Told:
        (root,) = (span for span in self.recorder.spans if span.kind == "SERVER")
        return root

    @property
    def line(self) -> Line:
        (line,) = self.log.lines
        return line

    def counted(self, metric: Metric) -> dict[tuple[str, ...], int]:
        """How often it was recorded, by its labels."""
        return {name[1:]: len(values) for name, values in self.metrics.values.items() if name[0] == metric.name}

    @property
    def everything(self) -> str:
        return repr((self.recorder.spans, self.metrics.values, self.log.lines))


PROMPT_TOKENS = len(byte_text().encode(PROMPT)) + 1
LINE = {
    "ts": "2023-11-14T22:13:20.000+00:00",
    "request_id": "mine-1",
    "answer_id": "cmpl-01HF7YAT000W3GE1R70W3GE1R7",
    "tenant": TENANT,
    "model": "tiny",
    "operation": "POST /v1/completions",
    "status": "200",
    "outcome": "ok",
    "error": "",
    "band": "default",
    "queue_ms": 0.0,
    "ttfc_ms": 0.0,
    "duration_ms": 0.0,
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": len(ANSWER),
    "steps": 4,
    "position_forwards": 96,
    "replicas": [],
    "migrations": 0,
}
ROOT = {
    "http.request.method": "POST",
    "http.route": "/v1/completions",
    "http.response.status_code": 200,
    "gen_ai.operation.name": "text_completion",
    "gen_ai.provider.name": "dllm",
    "gen_ai.request.model": "tiny",
    "gen_ai.request.seed": 7,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.temperature": 0.0,
    "gen_ai.request.choice.count": 1,
    "gen_ai.response.model": "tiny",
    "gen_ai.response.id": "cmpl-01HF7YAT000W3GE1R70W3GE1R7",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": PROMPT_TOKENS,
    "gen_ai.usage.output_tokens": len(ANSWER),
    "gen_ai.latency.time_in_queue": 0.0,
    "gen_ai.latency.time_to_first_token": 0.0,
    "gen_ai.latency.e2e": 0.0,
    "dllm.request.id": "mine-1",
    "dllm.tenant.id": TENANT,
    "dllm.queue.band": "default",
    "dllm.outcome": "ok",
    "dllm.sampler": "confidence_threshold",
    "dllm.threshold": 0.8,
    "dllm.denoise.steps": 4,
    "dllm.forward_passes": 6,
    "dllm.position_forwards": 96,
    "dllm.migrations": 0,
}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_told_in_all_three_ways(stream: bool) -> None:
    reported = Reported()
    answer = await reported.ask(json=BODY | {"stream": stream}, headers={"x-request-id": "mine-1"})
    root = reported.root
    own = {"trace_id": root.trace, "span_id": root.id, "stream": stream, "bytes": len(answer.content)}
    assert reported.line == LINE | own
    assert root.name == "POST /v1/completions"
    assert root.attributes == ROOT | {"gen_ai.request.stream": stream}
    assert not root.failed
    assert reported.counted(names.REQUESTS) == {("tiny", "default", "ok"): 1}
    assert reported.counted(names.REQUEST_DURATION) == {("tiny", "default"): 1}
    assert reported.counted(names.TENANT_REQUESTS) == {(TENANT, "ok"): 1}
    assert reported.counted(names.SERVER_REQUEST_DURATION) == {("text_completion", "tiny", "tiny", ""): 1}


OPERATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/chat/completions": ({"messages": [{"role": "user", "content": PROMPT}]}, "chat"),
    "/v1/responses": ({"input": PROMPT, "store": False}, "chat"),
    "/v1/completions": ({"prompt": PROMPT}, "text_completion"),
    "/v1/infill": ({"template": f"{PROMPT}{{{{hole}}}}"}, "infill"),
}


@pytest.mark.parametrize("path", OPERATIONS)
async def test_each_operation_has_its_name(path: str) -> None:
    reported, (body, operation) = Reported(lambda request: [QueueFull()]), OPERATIONS[path]
    await reported.ask(path=path, json={"model": "tiny", **body})
    assert reported.root.attributes[attributes.OPERATION] == operation
    assert reported.counted(names.SERVER_REQUEST_DURATION) == {(operation, "tiny", "tiny", "queue_full"): 1}


REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "no key": (401, "invalid_api_key", {"key": "wrong", "json": BODY}),
    "no JSON": (400, "invalid_request_error", {"content": PROMPT, "headers": {"content-type": "application/json"}}),
    "a wrong field": (400, "invalid_request_error", {"json": BODY | {"prompt": {PROMPT: 1}}}),
    "no such model": (404, "model_not_found", {"json": BODY | {"model": PROMPT}}),
    "too long": (400, "context_length_exceeded", {"json": BODY | {"max_tokens": 10_000}}),
    "too large": (413, "request_too_large", {"json": BODY | {"user": PROMPT * 100}}),
    "no such route": (404, "not_found", {"path": f"/v1/{PROMPT}"}),
    "no such method": (405, "method_not_allowed", {"method": "DELETE"}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_is_told_by_its_code_and_nothing_of_what_was_sent(case: str) -> None:
    status, code, given = REFUSED[case]
    reported = Reported(settings=GatewaySettings(max_body_bytes=1000))
    assert (await reported.ask(**given)).status_code == status
    told = reported.root.attributes
    assert (told["http.response.status_code"], told["error.type"], told["dllm.outcome"]) == (status, code, code)
    assert not reported.root.failed
    assert (reported.line["status"], reported.line["outcome"], reported.line["error"]) == (str(status), code, code)
    tenant = "" if case == "no key" else TENANT
    assert reported.line["tenant"] == tenant
    assert reported.counted(names.TENANT_REQUESTS) == ({(tenant, code): 1} if tenant else {})
    model = "tiny" if case == "too long" else "unknown"
    assert reported.counted(names.REQUESTS) == {(model, "unknown", code): 1}
    assert PROMPT not in reported.everything


FAILURES: list[ServingError] = [QueueFull(), NoReplica(), ReplicasLost(), DeadlineExceeded()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.code)
async def test_what_the_service_fails_at_is_an_error_of_the_span(error: ServingError, stream: bool) -> None:
    reported = Reported(lambda request: [error])
    await reported.ask(json=BODY | {"stream": stream})
    assert reported.root.failed == (error.status >= 500)
    assert reported.root.attributes["error.type"] == error.code
    assert reported.line["status"] == str(error.status)
    assert reported.counted(names.REQUESTS) == {("tiny", "default", error.code): 1}


def breaking(request: Request) -> list[Step]:
    """A replica that commits a word and is lost for good."""
    return [(), *commits(request, [byte_text().encode(ANSWER)]), ReplicasLost()]


async def test_a_stream_that_breaks_has_the_status_that_was_sent_and_the_error() -> None:
    reported = Reported(breaking)
    assert (await reported.ask(json=BODY | {"stream": True})).status_code == 200
    assert (reported.line["status"], reported.line["error"]) == ("200", "replicas_lost")
    assert reported.root.failed


async def test_a_defect_is_told_without_its_words() -> None:
    reported = Reported(lambda request: [RuntimeError(PROMPT)])
    assert (await reported.ask(json=BODY)).status_code == 500
    assert (reported.line["error"], reported.root.attributes["error.type"]) == ("internal_error", "internal_error")
    assert reported.root.failed
    assert reported.root.events == ()
    assert PROMPT not in reported.everything


def stuck(running: asyncio.Event) -> Callable[[Request], Iterator[Step]]:
    """A replica that commits a word and then denoises for ever."""

    def script(request: Request) -> Iterator[Step]:
        yield ()
        yield message(*commits(request, [byte_text().encode(ANSWER)])[0])
        running.set()
        yield asyncio.Event()

    return script


@pytest.mark.parametrize("way", ["leaves", "breaks", "is cancelled"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_has_cancelled(stream: bool, way: str) -> None:
    running = asyncio.Event()
    reported = Reported(stuck(running), GatewaySettings(keep_alive_seconds=0.01))
    breaks_after = 2 if way == "breaks" and stream else None
    connection = Connection(reported.app, PATH, BODY | {"stream": stream}, breaks_after)
    asking = asyncio.ensure_future(connection.run())
    await running.wait()
    if way == "is cancelled":
        asking.cancel()
    elif breaks_after is None:
        connection.leave()
    with suppress(ClientDisconnect, asyncio.CancelledError):
        await asking
    assert (reported.line["status"], reported.line["outcome"]) == ("499", "cancelled")
    assert (reported.line["error"], reported.root.failed) == ("client_closed_request", False)
    assert reported.counted(names.REQUESTS) == {("tiny", "default", "cancelled"): 1}


async def test_probes_and_documents_are_told_of_only_when_they_fail() -> None:
    pool = ScriptedPool(saying("ok"))
    reported = Reported(pool)
    for path in ("/health", "/health/live", "/health/ready", "/version", "/openapi.json", "/docs"):
        assert (await reported.ask("GET", path)).status_code == 200
    assert (reported.recorder.spans, reported.log.lines, dict(reported.metrics.values)) == ([], [], {})
    pool.is_ready = False
    assert (await reported.ask("GET", "/health/ready")).status_code == 503
    assert (reported.root.name, reported.line["error"]) == ("GET /health/ready", "no_replica")


async def test_what_generates_nothing_has_a_line_and_no_model() -> None:
    reported = Reported()
    await reported.ask("GET", "/v1/models/tiny")
    assert (reported.line["operation"], reported.line["model"]) == ("GET /v1/models/{model_id:path}", "")
    assert attributes.OPERATION not in reported.root.attributes
    assert reported.counted(names.SERVER_REQUEST_DURATION) == {}


async def test_a_stream_that_is_told_again_is_a_request_of_its_own() -> None:
    reported = Reported()
    await reported.ask(json=BODY | STORED)
    id = reported.line["answer_id"]
    await reported.ask("GET", f"/v1/requests/{id}/stream")
    line = reported.log.lines[1]
    assert (line["operation"], line["answer_id"], line["model"]) == ("GET /v1/requests/{answer_id}/stream", id, "tiny")
    assert (line["stream"], line["completion_tokens"], line["outcome"]) == (True, 0, "ok")


async def test_a_failed_stream_that_is_told_again_has_its_error() -> None:
    reported = Reported(breaking)
    await reported.ask(json=BODY | STORED)
    await reported.ask("GET", f"/v1/requests/{reported.line['answer_id']}/stream")
    assert [(line["status"], line["error"]) for line in reported.log.lines] == [("200", "replicas_lost")] * 2


@pytest.mark.parametrize("recorded", [True, False])
async def test_the_trace_of_the_client_goes_on(recorded: bool) -> None:
    reported = Reported()
    headers = {"traceparent": RECORDED if recorded else UNRECORDED, "tracestate": "vendor=1"}
    answer = await reported.ask(json=BODY, headers=headers)
    version, trace, span, flags = answer.headers["traceparent"].split("-")
    assert (version, trace, int(flags, 16) & 1) == ("00", TRACE, recorded)
    assert span not in (PARENT, "0" * 16)
    assert (reported.line["trace_id"], reported.line["span_id"]) == (TRACE, span)
    if recorded:
        assert (reported.root.trace, reported.root.id, reported.root.parent) == (TRACE, span, PARENT)
    else:
        assert reported.recorder.spans == []


@pytest.mark.parametrize(
    "traceparent",
    [
        "nonsense",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"{RECORDED}, {RECORDED}",
    ],
)
async def test_what_is_no_trace_begins_a_new_one(traceparent: str) -> None:
    reported = Reported()
    answer = await reported.ask(json=BODY, headers={"traceparent": traceparent})
    assert reported.root.trace != TRACE
    assert reported.root.parent == ""
    assert answer.headers["traceparent"].split("-")[1:3] == [reported.root.trace, reported.root.id]


@pytest.mark.parametrize("traced", [True, False])
async def test_without_a_recorded_trace_there_are_ids_all_the_same(traced: bool) -> None:
    """The tracer leaves this request out, or there is none."""
    log = MemoryAccessLog()
    provider = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False)
    telemetry = Telemetry(tracer=provider.get_tracer("test"), access_log=log) if traced else Telemetry(access_log=log)
    pool = ScriptedPool(saying(ANSWER))
    async with client(gateway(pool, telemetry=telemetry)) as http:
        answer = await http.post(PATH, json=BODY)
    _, trace, span, flags = answer.headers["traceparent"].split("-")
    assert int(trace, 16)
    assert int(span, 16)
    assert int(flags, 16) & 1 == 0
    assert (log.lines[0]["trace_id"], log.lines[0]["span_id"]) == (trace, span)
    assert [run.trace for run in pool.runs] == [""]


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_record_names_the_trace_in_which_others_go_on(recorded: bool) -> None:
    reported = Reported()
    await reported.ask(json=BODY | STORED, headers={"traceparent": RECORDED if recorded else UNRECORDED})
    trace = f"00-{TRACE}-{reported.root.id}-01" if recorded else None
    record = await reported.ask("GET", f"/v1/requests/{reported.line['answer_id']}")
    assert record.json()["parameters"].get("trace") == trace


async def test_no_more_tenants_have_names_than_there_may_be() -> None:
    reported = Reported(named=1)
    for key in (OTHER_KEY, KEY, OTHER_KEY):
        await reported.ask(key=key, json=BODY)
    assert reported.counted(names.TENANT_REQUESTS) == {(OTHER_TENANT, "ok"): 2, (OTHER, "ok"): 1}


async def test_nothing_that_was_said_or_that_opens_the_door_is_told() -> None:
    reported = Reported()
    headers = {"x-request-id": "mine-1", "idempotency-key": "the-idempotency-key", "x-api-key": "another-secret"}
    body = BODY | {"user": "the-user", "metadata": {"a": "the-metadata"}, "stop": ["the-stop"]}
    answer = await reported.ask(json=body, headers=headers)
    assert ANSWER in answer.text
    given = (PROMPT, ANSWER, KEY, "the-user", "the-metadata", "the-stop", "the-idempotency", "another-secret")
    assert [word for word in given if word in reported.everything] == []


async def test_what_is_logged_on_the_way_belongs_to_the_trace() -> None:
    traces = list[int]()

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            traces.append(get_current_span().get_span_context().trace_id)

    logger, handler = logging.getLogger("deployments"), Noting(logging.ERROR)
    logger.addHandler(handler)
    try:
        reported = Reported(lambda request: [RuntimeError()])
        await reported.ask(json=BODY)
    finally:
        logger.removeHandler(handler)
    assert traces == [int(reported.root.trace, 16)]
    assert get_current_span() is INVALID_SPAN
