"""Streamed answers over gRPC."""

from __future__ import annotations

from typing import Any

import grpc

from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as messages
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2_grpc as services
from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges import bodies
from loadtest.exchanges.account import Account, Failure
from loadtest.exchanges.wire import PATIENCE_SECONDS, Wire
from loadtest.scenario.scenario import Models

UNSET = messages.FINISH_REASON_UNSPECIFIED


def grpc_stream(wire: Wire, account: Account) -> None:
    """The answer to a conversation as it is written. Events are numbered without a gap."""
    request = messages.StreamGenerateRequest(chat=_chat(account.arrival, wire.place.models))
    metadata = tuple(wire.headers(account).items())
    stub = services.InferenceServiceStub(wire.channel)
    try:
        for number, told in enumerate(stub.StreamGenerate(request, metadata=metadata, timeout=PATIENCE_SECONDS), 1):
            if told.event.sequence != number:
                raise Failure("malformed", f"event {number} has the number {told.event.sequence}")
            _note(account, told.event)
    except grpc.RpcError as error:
        raise _failure(error) from error
    if account.finish is None:
        raise Failure("no_finish_reason")


def _chat(arrival: Arrival, models: Models) -> messages.Chat:
    """The same conversation as over REST."""
    return messages.Chat(
        model=models.text,
        seed=arrival.seed,
        service_tier=f"SERVICE_TIER_{bodies.TIERS[arrival.band].upper()}",
        max_tokens=arrival.answer_tokens,
        messages=[messages.Message(role=messages.ROLE_USER, content=bodies.prompt(arrival))],
    )


def _note(account: Account, event: Any) -> None:
    match event.WhichOneof("event"):
        case "committed":
            account.commit(event.committed.text)
        case "finished" if event.finished.finish_reason != UNSET:
            account.finish = messages.FinishReason.Name(event.finished.finish_reason)
        case "usage":
            usage, work = event.usage, event.usage.diffusion
            account.usage = {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "diffusion": {field.name: getattr(work, field.name) for field in work.DESCRIPTOR.fields},
            }


def _failure(error: grpc.RpcError) -> Failure:
    """The code of the REST API, where the status has one in its details."""
    from google.rpc.error_details_pb2 import ErrorInfo
    from grpc_status.rpc_status import from_call

    status = from_call(error)
    for detail in status.details if status is not None else ():
        info = ErrorInfo()
        if detail.Unpack(info):
            return Failure(info.reason, status.message)
    code: Any = error.code()
    return Failure(f"grpc_{code.name.lower()}", str(error.details()))
