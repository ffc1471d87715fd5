from __future__ import annotations

from typing import Any

import grpc
import pytest

from deployments.gateway.grpc.protos import open_inference_pb2 as pb
from dllm_worker.request import SamplingParameters
from tests.deployments.gateway.grpc.served import METADATA, serving
from tests.deployments.gateway.grpc.test_inference import fault
from tests.deployments.gateway.scripted import ScriptedPool, saying

Tensor = pb.ModelInferRequest.InferInputTensor


def packed(*texts: bytes) -> bytes:
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def request(**changes: Any) -> pb.ModelInferRequest:
    contents = pb.InferTensorContents(bytes_contents=[b"hi"])
    tensor = Tensor(name="text_input", datatype="BYTES", shape=[1], contents=contents)
    return pb.ModelInferRequest(**{"model_name": "tiny", "id": "7", "inputs": [tensor], **changes})


def raw(data: bytes, **changes: Any) -> pb.ModelInferRequest:
    tensor = Tensor(name="text_input", datatype="BYTES", shape=[1])
    return request(inputs=[tensor], raw_input_contents=[data], **changes)


async def test_the_server_is_live_and_says_what_it_is_to_everyone() -> None:
    async with serving(ScriptedPool(saying("never"), is_ready=False)) as served:
        assert (await served.open_inference.ServerLive(pb.ServerLiveRequest())).live
        assert not (await served.open_inference.ServerReady(pb.ServerReadyRequest())).ready
        about = await served.open_inference.ServerMetadata(pb.ServerMetadataRequest())
        assert (about.name, about.version) == ("dllm", served.gateway.settings.version)


async def test_a_model_is_shown_to_those_with_a_key() -> None:
    async with serving(saying("never")) as served:
        ready = pb.ModelReadyRequest(name="tiny")
        assert (await served.open_inference.ModelReady(ready, metadata=METADATA)).ready
        about = await served.open_inference.ModelMetadata(pb.ModelMetadataRequest(name="tiny"), metadata=METADATA)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.open_inference.ModelReady(ready)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert (about.name, list(about.versions)) == ("tiny", ["rev-1"])
    assert [(tensor.name, tensor.datatype) for tensor in about.inputs] == [("text_input", "BYTES")]
    assert [(tensor.name, tensor.datatype) for tensor in about.outputs] == [("text_output", "BYTES")]


@pytest.mark.parametrize("is_raw", [True, False])
async def test_text_comes_back_as_it_was_sent(is_raw: bool) -> None:
    async with serving(saying("Hé", "llo")) as served:
        sent = raw(packed(b"hi")) if is_raw else request()
        answer = await served.open_inference.ModelInfer(sent, metadata=METADATA)
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("text_output", "BYTES", [1])
    text = "Héllo".encode()
    assert list(answer.raw_output_contents) == ([packed(text)] if is_raw else [])
    assert list(output.contents.bytes_contents) == ([] if is_raw else [text])
    assert (answer.model_name, answer.model_version, answer.id) == ("tiny", "rev-1", "7")
    assert answer.parameters["finish_reason"].string_param == "stop"
    assert answer.parameters["completion_tokens"].int64_param == len(text)


async def test_parameters_are_those_of_a_completion() -> None:
    pool = ScriptedPool(saying("Hello"))
    parameters = {
        "max_tokens": pb.InferParameter(int64_param=9),
        "temperature": pb.InferParameter(double_param=0.5),
        "seed": pb.InferParameter(int64_param=-3),
        "stop": pb.InferParameter(string_param="o"),
        "n": pb.InferParameter(int64_param=2),
        "diffusion.max_steps": pb.InferParameter(int64_param=4),
        "diffusion.algorithm": pb.InferParameter(string_param="low_confidence"),
    }
    async with serving(pool) as served:
        answer = await served.open_inference.ModelInfer(request(parameters=parameters), metadata=METADATA)
    assert list(answer.outputs[0].contents.bytes_contents) == [b"Hell", b"Hell"]
    assert answer.parameters["finish_reason"].string_param == "stop,stop"
    asked = pool.requests[0]
    assert asked.max_tokens == 9
    assert asked.sampling == SamplingParameters(
        algorithm="low_confidence", max_steps=4, temperature=0.5, seed=-3, threshold=0.8
    )


REFUSED: list[tuple[pb.ModelInferRequest, tuple[str, str]]] = [
    (request(model_name="other"), ("model_not_found", "model")),
    (request(model_version="2"), ("model_not_found", "model_version")),
    (request(inputs=[]), ("invalid_request_error", "inputs")),
    (request(inputs=[Tensor(name="x", datatype="BYTES")]), ("invalid_request_error", "inputs")),
    (request(inputs=[Tensor(name="text_input", datatype="FP32")]), ("invalid_request_error", "inputs")),
    (request(inputs=[Tensor(name="text_input", datatype="BYTES")]), ("invalid_request_error", "text_input")),
    (raw(packed(b"a", b"b")), ("invalid_request_error", "text_input")),
    (raw(packed(b"abc")[:-1]), ("invalid_request_error", "text_input")),
    (raw(b"\x01"), ("invalid_request_error", "text_input")),
    (raw(packed(b"\xff")), ("invalid_request_error", "text_input")),
    (request(parameters={"max_tokens": pb.InferParameter(int64_param=0)}), ("invalid_request_error", "max_tokens")),
    (request(parameters={"max_tokens": pb.InferParameter(string_param="9")}), ("invalid_request_error", "max_tokens")),
    (request(parameters={"stream": pb.InferParameter(bool_param=True)}), ("unsupported_parameter", "stream")),
    (
        request(parameters={"diffusion.wild": pb.InferParameter(int64_param=1)}),
        ("unknown_parameter", "diffusion.wild"),
    ),
]


@pytest.mark.parametrize(("sent", "told"), REFUSED)
async def test_what_is_not_understood_is_refused_by_name(sent: pb.ModelInferRequest, told: tuple[str, str]) -> None:
    async with serving(saying("never")) as served:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.open_inference.ModelInfer(sent, metadata=METADATA)
    assert fault(refused.value) == told
