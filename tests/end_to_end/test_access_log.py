"""One line for each request, whatever protocol brought it, in the file that the configuration names."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import grpc
import httpx

from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from tests.end_to_end.conftest import Cluster

PROMPT = "no_line_may_have_these_words"
WAIT_SECONDS = 10.0


async def line_of(cluster: Cluster, request_id: str) -> dict[str, Any]:
    """The line of a request; it is written when the answer is over, which its client may know first."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            text = cluster.access_log.read_text() if cluster.access_log.exists() else ""
            assert PROMPT not in text
            lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
            found = [line for line in lines if line["request_id"] == request_id]
            if found:
                (line,) = found
                return line
            await asyncio.sleep(0.05)


def new_id() -> str:
    return f"mine-{uuid.uuid4()}"


async def test_a_stream_over_rest_has_a_line(cluster: Cluster) -> None:
    request_id = new_id()
    body = {"model": "tiny-code", "prompt": PROMPT, "max_tokens": 8, "stream": True}
    headers = {"authorization": f"Bearer {cluster.key}", "x-request-id": request_id}
    async with httpx.AsyncClient(base_url=cluster.base_url, headers=headers, timeout=60) as http:
        answer = await http.post("/v1/completions", json=body)
    line = await line_of(cluster, request_id)
    assert answer.headers["traceparent"].split("-")[1:3] == [line["trace_id"], line["span_id"]]
    assert (line["operation"], line["status"], line["outcome"]) == ("POST /v1/completions", "200", "ok")
    assert (line["tenant"], line["model"], line["band"], line["stream"]) == ("acme", "tiny-code", "default", True)
    assert line["bytes"] == len(answer.content)
    assert len(line["replicas"]) == 1
    assert 0 <= line["queue_ms"] <= line["ttfc_ms"] <= line["duration_ms"]
    assert min(line["steps"], line["position_forwards"], line["prompt_tokens"]) > 0


async def test_a_refused_call_over_grpc_has_a_line(cluster: Cluster) -> None:
    request_id = new_id()
    metadata = (("authorization", f"Bearer {cluster.key}"), ("x-request-id", request_id))
    asked = pb.GenerateRequest(completion=pb.Completion(model=PROMPT, prompt=PROMPT))
    async with grpc.aio.insecure_channel(cluster.grpc_address) as channel:
        try:
            await InferenceServiceStub(channel).Generate(asked, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            beside = dict(error.trailing_metadata() or ())
    line = await line_of(cluster, request_id)
    assert beside["traceparent"].split("-")[1:3] == [line["trace_id"], line["span_id"]]
    assert line["operation"] == "dllm.inference.v1.InferenceService/Generate"
    assert (line["status"], line["error"], line["tenant"]) == ("NOT_FOUND", "model_not_found", "acme")
    assert (line["model"], line["replicas"]) == ("", [])
