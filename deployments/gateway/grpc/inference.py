"""``dllm.inference.v1.InferenceService``: what REST can do, in the words of gRPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict

from deployments.errors import InvalidRequest
from deployments.gateway import operations
from deployments.gateway.grpc.answers import Events, generated, infilled
from deployments.gateway.grpc.bodies import chat_body, completion_body, infill_body, number_of
from deployments.gateway.grpc.calls import Answer, Stream
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.records import cancelled, find_record

if TYPE_CHECKING:
    from deployments.gateway.arrival import Arrival
    from deployments.gateway.assembler import Output
    from deployments.gateway.begin import Begun, Outputs
    from deployments.gateway.context import Gateway


async def generate(gateway: Gateway, arrival: Arrival, request: pb.GenerateRequest) -> Answer:
    """Answer a conversation, or continue a prompt, in one piece."""
    begun = await _generating(gateway, arrival, request, stream=False)
    return Answer(generated(begun.record, await _all(begun.outputs())), begun.headers)


async def stream_generate(gateway: Gateway, arrival: Arrival, request: pb.StreamGenerateRequest) -> Stream:
    """The same as a stream."""
    return _streamed(await _generating(gateway, arrival, request, stream=True))


async def infill(gateway: Gateway, arrival: Arrival, request: pb.InfillRequest) -> Answer:
    """Fill the holes of a template, in one piece."""
    begun = await operations.infill(gateway, arrival, infill_body(request.infill, stream=False))
    return Answer(infilled(begun.record, await _all(begun.outputs())), begun.headers)


async def stream_infill(gateway: Gateway, arrival: Arrival, request: pb.StreamInfillRequest) -> Stream:
    """The same as a stream."""
    return _streamed(await operations.infill(gateway, arrival, infill_body(request.infill, stream=True)))


async def resume(gateway: Gateway, arrival: Arrival, request: pb.ResumeGenerateRequest) -> Stream:
    """A stream once more, behind an event that was received. Who leaves it does not end the request."""
    if request.after_sequence < 0:
        raise InvalidRequest("The number of an event is expected.", parameter="after_sequence")
    record = await find_record(gateway, arrival.access, request.id)
    return Stream(_events(Events(record, request.after_sequence), gateway.executions.follow(record.key)))


async def cancel(gateway: Gateway, arrival: Arrival, request: pb.CancelRequest) -> Answer:
    """End a request if it runs."""
    record = await cancelled(gateway, await find_record(gateway, arrival.access, request.id))
    return Answer(pb.CancelResponse(id=record.id, status=number_of(pb.RequestStatus.DESCRIPTOR, record.status)))


async def list_models(gateway: Gateway, arrival: Arrival, request: pb.ListModelsRequest) -> Answer:
    """The models that the key opens."""
    response = pb.ListModelsResponse()
    for model_id, model in gateway.models.items():
        if arrival.access.may_use(model_id):
            stated = model.as_json(int(gateway.started))
            told = response.models.add(id=model_id, owned_by=stated["owned_by"])
            told.created.FromSeconds(stated["created"])
            ParseDict(stated["dllm"], told.dllm)
    return Answer(response)


async def _generating(
    gateway: Gateway, arrival: Arrival, request: pb.GenerateRequest | pb.StreamGenerateRequest, *, stream: bool
) -> Begun:
    match request.WhichOneof("task"):
        case "chat":
            return await operations.chat(gateway, arrival, chat_body(request.chat, stream=stream))
        case "completion":
            return await operations.completion(gateway, arrival, completion_body(request.completion, stream=stream))
        case _:
            raise InvalidRequest("Either a chat or a completion is expected.", parameter="task")


async def _all(outputs: Outputs) -> list[Output]:
    async with aclosing(outputs):
        return [output async for batch in outputs for output in batch]


def _streamed(begun: Begun) -> Stream:
    return Stream(_events(Events(begun.record), begun.outputs()), begun.headers)


async def _events(events: Events, outputs: Outputs) -> AsyncGenerator[pb.Event]:
    async with aclosing(outputs):
        async for batch in outputs:
            for event in events.tell(batch):
                yield event
