"""``inference.GRPCInferenceService``: text completion for clients of the Open Inference Protocol, version 2."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from deployments.errors import InvalidRequest, ModelNotFound, UnsupportedParameter
from deployments.gateway import operations
from deployments.gateway.choices import Choice, choices_of
from deployments.gateway.grpc.bodies import validated
from deployments.gateway.grpc.calls import Answer
from deployments.gateway.grpc.protos import open_inference_pb2 as pb
from deployments.gateway.model import Model, find_model
from deployments.gateway.openai import finish_reason, joined
from deployments.gateway.readiness import ready_models
from deployments.gateway.schema import CompletionBody
from deployments.gateway.usage import total

if TYPE_CHECKING:
    from deployments.gateway.arrival import Arrival
    from deployments.gateway.context import Gateway

NAME, PLATFORM = "dllm", "dllm"
INPUT, OUTPUT, TEXT = "text_input", "text_output", "BYTES"
LENGTH = struct.Struct("<I")
"""What stands before each element of a raw tensor of bytes."""

ONE_PIECE = ("stream", "store_stream", "stream_options")
NESTED = "diffusion."


async def server_live(gateway: Gateway) -> pb.ServerLiveResponse:
    """The process answers."""
    return pb.ServerLiveResponse(live=True)


async def server_ready(gateway: Gateway) -> pb.ServerReadyResponse:
    """Whether a model is ready."""
    return pb.ServerReadyResponse(ready=any((await ready_models(gateway)).values()))


async def server_metadata(gateway: Gateway) -> pb.ServerMetadataResponse:
    """What this is. It has no extensions."""
    return pb.ServerMetadataResponse(name=NAME, version=gateway.settings.version)


async def model_ready(gateway: Gateway, arrival: Arrival, request: pb.ModelReadyRequest) -> Answer:
    """Whether a model is ready that the key opens."""
    model = _model(gateway, arrival, request.name, request.version)
    return Answer(pb.ModelReadyResponse(ready=(await ready_models(gateway))[model.id]))


async def model_metadata(gateway: Gateway, arrival: Arrival, request: pb.ModelMetadataRequest) -> Answer:
    """Text in, as many texts out as are asked for."""
    model = _model(gateway, arrival, request.name, request.version)
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return Answer(
        pb.ModelMetadataResponse(
            name=model.id,
            versions=[model.description.revision],
            platform=PLATFORM,
            inputs=[tensor(name=INPUT, datatype=TEXT, shape=[1])],
            outputs=[tensor(name=OUTPUT, datatype=TEXT, shape=[-1])],
        )
    )


async def model_infer(gateway: Gateway, arrival: Arrival, request: pb.ModelInferRequest) -> Answer:
    """Continue a prompt. The parameters are fields of a completion, those of ``diffusion`` with that before a dot."""
    model = _model(gateway, arrival, request.model_name, request.model_version)
    given = _given(request)
    body = validated(CompletionBody, {"model": model.id, "prompt": _text(request), **given})
    begun = await operations.completion(gateway, arrival, body)
    async with aclosing(begun.outputs()) as outputs:
        choices = choices_of([output async for batch in outputs for output in batch])
    return Answer(_inferred(request, model, begun.record.id, choices), begun.headers)


def _model(gateway: Gateway, arrival: Arrival, name: str, version: str) -> Model:
    """The model, of which only one version is served. Raises :class:`ModelNotFound`."""
    model = find_model(gateway.models, name, arrival.access)
    if version and version != model.description.revision:
        raise ModelNotFound(f"The model {name!r} has no version {version!r}.", parameter="model_version")
    arrival.observation.model = model.id
    return model


def _given(request: pb.ModelInferRequest) -> dict[str, Any]:
    """The parameters as fields of a body. Raises :class:`UnsupportedParameter` for those of a stream."""
    fields: dict[str, Any] = {}
    for name, parameter in request.parameters.items():
        if name in ONE_PIECE:
            raise UnsupportedParameter("ModelInfer answers in one piece.", parameter=name)
        kind = parameter.WhichOneof("parameter_choice")
        value = None if kind is None else getattr(parameter, kind)
        if name.startswith(NESTED):
            fields.setdefault("diffusion", {})[name.removeprefix(NESTED)] = value
        else:
            fields[name] = value
    return fields


def _text(request: pb.ModelInferRequest) -> str:
    """The one element of the one input. Raises :class:`InvalidRequest`."""
    if [(tensor.name, tensor.datatype) for tensor in request.inputs] != [(INPUT, TEXT)]:
        raise InvalidRequest(f"One input {INPUT!r} of datatype {TEXT} is expected.", parameter="inputs")
    raw = request.raw_input_contents
    elements = _unpacked(raw[0]) if raw else list(request.inputs[0].contents.bytes_contents)
    if len(elements) != 1:
        raise InvalidRequest(f"{INPUT!r} has one element; {len(elements)} were sent.", parameter=INPUT)
    try:
        return elements[0].decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{INPUT!r} is not UTF-8.", parameter=INPUT) from error


def _unpacked(raw: bytes) -> list[bytes]:
    elements, rest = [], raw
    while rest:
        length = LENGTH.unpack_from(rest)[0] if len(rest) >= LENGTH.size else len(rest)
        element, rest = rest[LENGTH.size :][:length], rest[LENGTH.size + length :]
        if len(element) != length:
            raise InvalidRequest(f"{INPUT!r} ends within an element.", parameter=INPUT)
        elements.append(element)
    return elements


def _inferred(
    request: pb.ModelInferRequest, model: Model, answer_id: str, choices: Sequence[Choice]
) -> pb.ModelInferResponse:
    """The answer, raw where the request was."""
    texts = [joined(choice.deltas).encode() for choice in choices]
    reasons = ",".join(finish_reason(choice.done) for choice in choices)
    used = total([choice.done for choice in choices])
    output = pb.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype=TEXT, shape=[len(texts)])
    response = pb.ModelInferResponse(
        model_name=model.id,
        model_version=model.description.revision,
        id=request.id,
        parameters={
            "answer_id": pb.InferParameter(string_param=answer_id),
            "finish_reason": pb.InferParameter(string_param=reasons),
            "prompt_tokens": pb.InferParameter(int64_param=used.prompt_tokens),
            "completion_tokens": pb.InferParameter(int64_param=used.completion_tokens),
        },
    )
    if request.raw_input_contents:
        response.raw_output_contents.append(b"".join(LENGTH.pack(len(text)) + text for text in texts))
    else:
        output.contents.bytes_contents.extend(texts)
    response.outputs.append(output)
    return response
