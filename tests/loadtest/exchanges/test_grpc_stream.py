from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import to_status

from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as messages
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2_grpc as services
from loadtest.exchanges.perform import perform
from loadtest.exchanges.wire import Place, Wire
from loadtest.figures.sample import Sample
from loadtest.scenario.scenario import Models
from tests.loadtest.cases import ARRIVAL

Event = messages.Event
USAGE = messages.Usage(
    prompt_tokens=8, completion_tokens=4, diffusion=messages.DiffusionUsage(denoising_steps=6, canvases=2)
)
ANSWER = [
    Event(sequence=1, header=messages.Header(id="cmpl-1")),
    Event(sequence=2, committed=messages.Committed(text="de")),
    Event(sequence=3, committed=messages.Committed(text="f")),
    Event(sequence=4, finished=messages.Finished(finish_reason=messages.FINISH_REASON_STOP)),
    Event(sequence=5, usage=USAGE),
]


class Service(services.InferenceServiceServicer):  # type: ignore[misc]  # compiled without types
    """Answers with these events, or refuses with this code."""

    def __init__(self, events: list[Event], code: str | None = None) -> None:
        self._events, self._code = events, code
        self.asked: list[messages.StreamGenerateRequest] = []

    def StreamGenerate(
        self, request: messages.StreamGenerateRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.StreamGenerateResponse]:
        self.asked.append(request)
        assert ("authorization", "Bearer a-key") in context.invocation_metadata()
        for event in self._events:
            yield messages.StreamGenerateResponse(event=event)
        if self._code is not None:
            info = Packed()
            info.Pack(ErrorInfo(reason=self._code, domain="dllm"))
            code = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
            context.abort_with_status(to_status(Status(code=code, message="because", details=[info])))


@contextmanager
def served(service: Service) -> Iterator[str]:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        services.add_InferenceServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def ask(service: Service) -> Sample:
    ticks, arrival = count(), replace(ARRIVAL, kind="grpc_stream")
    with served(service) as address:
        wire = Wire(Place("http://cluster/v1", address, Models(), {arrival.tenant: "a-key"}, {}))
        sample = perform(wire, arrival, lambda: arrival.at + next(ticks) / 16)
        wire.retire()
    return sample


def test_a_stream_is_measured_as_over_http() -> None:
    service = Service(ANSWER)
    sample = ask(service)
    assert (sample.outcome, sample.first_commit, sample.gaps) == ("ok", 1 / 16, (1 / 16,))
    assert (sample.completion_tokens, sample.steps, sample.canvases) == (4, 6, 2)
    [request] = service.asked
    assert (request.chat.model, request.chat.max_tokens) == ("tiny-code", 16)
    assert request.chat.service_tier == messages.SERVICE_TIER_DEFAULT


@pytest.mark.parametrize(
    ("service", "outcome"),
    [
        (Service(ANSWER[:3]), "no_finish_reason"),
        (Service(ANSWER[:1] + ANSWER[2:]), "malformed"),
        (Service(ANSWER[:1], "queue_full"), "queue_full"),
    ],
)
def test_what_is_wrong_with_a_stream_is_its_outcome(service: Service, outcome: str) -> None:
    assert ask(service).outcome == outcome


def test_nobody_there_is_an_outcome() -> None:
    arrival = replace(ARRIVAL, kind="grpc_stream")
    wire = Wire(Place("http://cluster/v1", "127.0.0.1:1", Models(), {arrival.tenant: "a-key"}, {}))
    assert perform(wire, arrival, lambda: 10.0).outcome == "grpc_unavailable"
    wire.retire()


def test_without_an_address_nothing_is_asked() -> None:
    arrival = replace(ARRIVAL, kind="grpc_stream")
    wire = Wire(Place("http://cluster/v1", None, Models(), {arrival.tenant: "a-key"}, {}))
    assert perform(wire, arrival, lambda: 10.0).outcome == "no_grpc_address"
