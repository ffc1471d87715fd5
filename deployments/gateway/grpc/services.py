"""The services of a gateway, as Ray Serve is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from deployments.gateway.grpc.door import behind_the_door
from deployments.gateway.grpc.protos import open_inference_pb2
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import add_InferenceServiceServicer_to_server
from deployments.gateway.grpc.protos.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from deployments.gateway.outflow import socket_tracer

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from deployments.gateway.grpc.door import Server

SERVICER_FUNCTIONS = [f"{__name__}:{name}" for name in ("add_inference", "add_open_inference", "add_health")]
"""What the processes with the clients' sockets import: ``gRPCOptions.grpc_servicer_functions``."""

INFERENCE: str = inference_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name
OPEN_INFERENCE: str = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
HEALTH: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

METHODS = {
    (method.input_type.full_name, method.server_streaming): f"{service.full_name}/{method.name}"
    for described in (inference_pb2, open_inference_pb2, health_pb2)
    for service in described.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def method_of(request: Message, *, streams: bool = False) -> str:
    """The full name of the method that takes such a request, as ``inference.GRPCInferenceService/ModelInfer``.

    No two methods of one kind, in one piece or streaming, take the same.
    """
    return METHODS[request.DESCRIPTOR.full_name, streams]


def add_inference(servicer: Any, server: Server) -> None:
    """``dllm.inference.v1.InferenceService``."""
    with behind_the_door(server, socket_tracer()):
        add_InferenceServiceServicer_to_server(servicer, server)


def add_open_inference(servicer: Any, server: Server) -> None:
    """``inference.GRPCInferenceService``."""
    with behind_the_door(server, socket_tracer()):
        add_GRPCInferenceServiceServicer_to_server(servicer, server)


def add_health(servicer: Any, server: Server) -> None:
    """``grpc.health.v1.Health``."""
    with behind_the_door(server, socket_tracer()):
        add_HealthServicer_to_server(servicer, server)
