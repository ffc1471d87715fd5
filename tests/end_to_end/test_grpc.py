"""gRPC through the real proxy: the same answers as over REST, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_status.rpc_status import from_call

from deployments.gateway.grpc.protos import open_inference_pb2 as open_pb
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from deployments.gateway.grpc.protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.end_to_end.conftest import Cluster
from tests.end_to_end.test_http import until_idle

PROMPT = pb.Completion(model="tiny-code", prompt="import ", max_tokens=16, seed=7)
ENDLESS = pb.Completion(
    model="tiny-code",
    prompt="x = [",
    max_tokens=480,
    temperature=1.5,
    diffusion=pb.Diffusion(algorithm=pb.ALGORITHM_RANDOM, block_length=256),
)


@pytest.fixture
async def channel(cluster: Cluster) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(cluster.grpc_address) as channel:
        yield channel


@pytest.fixture
def metadata(cluster: Cluster) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {cluster.key}"),)


def inference(channel: grpc.aio.Channel) -> Any:
    return InferenceServiceStub(channel)


def reason(error: grpc.aio.AioRpcError) -> str:
    """The code of an error, of which nothing else is told."""
    assert "Traceback" not in f"{error.details()} {error.trailing_metadata()}"
    info = ErrorInfo()
    assert from_call(error).details[0].Unpack(info)
    return str(info.reason)


async def test_text_and_usage_are_those_of_rest(
    cluster: Cluster, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    body = {"model": "tiny-code", "prompt": "import ", "max_tokens": 16, "seed": 7}
    async with httpx.AsyncClient(timeout=60) as client:
        url, headers = f"{cluster.base_url}/v1/completions", {"authorization": f"Bearer {cluster.key}"}
        rest = (await client.post(url, json=body, headers=headers)).json()
    call = inference(channel).Generate(
        pb.GenerateRequest(completion=PROMPT), metadata=(*metadata, ("x-request-id", "mine"))
    )
    answer = await call
    (choice,) = answer.choices
    assert choice.text == rest["choices"][0]["text"]
    assert answer.usage.completion_tokens == rest["usage"]["completion_tokens"]
    assert answer.usage.diffusion.position_forwards > 0
    told = dict(await call.initial_metadata())
    assert (told["x-request-id"], told["x-dllm-model-revision"]) == ("mine", answer.system_fingerprint)
    stream = inference(channel).StreamGenerate(pb.StreamGenerateRequest(completion=PROMPT), metadata=metadata)
    events = [response.event async for response in stream]
    assert "".join(event.committed.text for event in events if event.HasField("committed")) == choice.text
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert "traceparent" in dict(await stream.initial_metadata())


async def test_errors_are_told_by_the_status(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> None:
    request = pb.GenerateRequest(completion=pb.Completion(model="other", prompt="x"))
    with pytest.raises(grpc.aio.AioRpcError) as stranger:
        await inference(channel).Generate(request)
    assert (stranger.value.code(), reason(stranger.value)) == (grpc.StatusCode.UNAUTHENTICATED, "invalid_api_key")
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await inference(channel).Generate(request, metadata=metadata)
    assert (unknown.value.code(), reason(unknown.value)) == (grpc.StatusCode.NOT_FOUND, "model_not_found")
    stream = inference(channel).StreamGenerate(
        pb.StreamGenerateRequest(completion=pb.Completion(model="tiny-code", prompt="x", top_p=7)), metadata=metadata
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(stream))
    assert (refused.value.code(), reason(refused.value)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid_request_error",
    )


async def test_a_message_has_the_limit_of_a_body(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    """The configuration has 64 KiB. Far beyond it the transport refuses, before anything is read."""
    for length, told in ((70 << 10, "request_too_large"), (1 << 20, None)):
        request = pb.GenerateRequest(completion=pb.Completion(model="tiny-code", prompt="x" * length))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inference(channel).Generate(request, metadata=metadata)
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert told is None or reason(refused.value) == told


async def test_who_leaves_frees_the_canvas(
    cluster: Cluster, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Many do, one after another: each leaves at another moment of its answer."""
    request = pb.StreamGenerateRequest(completion=ENDLESS)
    request.completion.diffusion.stream = pb.WATCHING_CANVAS
    for _ in range(12):
        before = await until_idle(cluster)
        stream = inference(channel).StreamGenerate(request, metadata=metadata)
        async for response in stream:
            if response.event.HasField("canvas"):
                break
        stream.cancel()
        after = await until_idle(cluster)
        assert after["position_forwards"] - before["position_forwards"] < 480 * 480 / 10


async def test_the_deadline_of_a_call_reaches_the_engine(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    """It refuses what it knows to be late, and otherwise answers with what there is by then."""
    request = pb.GenerateRequest(completion=ENDLESS)
    call: Any = inference(channel).Generate(request, metadata=metadata, timeout=2.0)
    answer: Any = (await asyncio.gather(call, return_exceptions=True))[0]
    if isinstance(answer, grpc.aio.AioRpcError):
        assert (answer.code(), reason(answer)) == (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline_exceeded")
    else:
        assert answer.choices[0].finish_reason == pb.FINISH_REASON_DEADLINE


async def test_the_services_are_healthy(channel: grpc.aio.Channel) -> None:
    health = HealthStub(channel)
    answer = await health.Check(HealthCheckRequest(service="dllm.inference.v1.InferenceService"))
    assert answer.status == HealthCheckResponse.SERVING
    watching = health.Watch(HealthCheckRequest())
    assert (await anext(aiter(watching))).status == HealthCheckResponse.SERVING
    watching.cancel()


async def test_the_open_inference_protocol_is_spoken(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    stub: Any = GRPCInferenceServiceStub(channel)
    assert (await stub.ServerReady(open_pb.ServerReadyRequest())).ready
    tensor = open_pb.ModelInferRequest.InferInputTensor(
        name="text_input",
        datatype="BYTES",
        shape=[1],
        contents=open_pb.InferTensorContents(bytes_contents=[b"import "]),
    )
    request = open_pb.ModelInferRequest(
        model_name="tiny-code",
        inputs=[tensor],
        parameters={
            "max_tokens": open_pb.InferParameter(int64_param=16),
            "seed": open_pb.InferParameter(int64_param=7),
        },
    )
    answer = await stub.ModelInfer(request, metadata=metadata)
    whole = await inference(channel).Generate(pb.GenerateRequest(completion=PROMPT), metadata=metadata)
    assert answer.outputs[0].contents.bytes_contents[0].decode() == whole.choices[0].text
