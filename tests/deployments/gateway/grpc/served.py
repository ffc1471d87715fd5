"""A gateway that answers over REST and over gRPC, in this process: the door, the methods, and a server between them.

The server is Ray Serve's, and calls the methods as Ray Serve does, without a replica.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock, patch

import grpc
import httpx
from grpc_health.v1.health_pb2_grpc import HealthStub
from opentelemetry.trace import NoOpTracer, Tracer
from ray.serve._private.grpc_util import enable_server_reflection, gRPCGenericServer
from ray.serve.grpc_util import RayServegRPCContext
from starlette.types import ASGIApp

from deployments.gateway.app import create_app, create_gateway
from deployments.gateway.context import Gateway
from deployments.gateway.grpc.call import Call
from deployments.gateway.grpc.calls import Calls
from deployments.gateway.grpc.methods import GrpcMethods
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from deployments.gateway.grpc.protos.open_inference_pb2_grpc import GRPCInferenceServiceStub
from deployments.gateway.grpc.services import add_health, add_inference, add_open_inference
from deployments.gateway.ids import Clock
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.slow_reader import SlowReader
from deployments.telemetry.observation import Telemetry
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.verification import Verifier
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import KEY, NOW, ScriptedPool, Step, client, in_memory, model, tenancy

METADATA = (("authorization", f"Bearer {KEY}"),)
Handler = Callable[[Any, Call], Any]


def entropy(count: int) -> bytes:
    """Ids are unpredictable; the single byte of a jitter is not."""
    return b"\x80" if count == 1 else os.urandom(count)


class Methods(GrpcMethods):
    """The methods without a deployment."""

    def __init__(self, gateway: Gateway, verifier: Verifier) -> None:
        self.calls = Calls(gateway, verifier)


@dataclass(frozen=True, slots=True)
class Served:
    """One gateway, and clients of its gRPC services."""

    gateway: Gateway
    verifier: Verifier
    pool: ScriptedPool
    channel: grpc.aio.Channel

    @property
    def inference(self) -> Any:
        return InferenceServiceStub(self.channel)

    @property
    def open_inference(self) -> Any:
        return GRPCInferenceServiceStub(self.channel)

    @property
    def health(self) -> Any:
        return HealthStub(self.channel)

    @property
    def application(self) -> ASGIApp:
        """Its REST application, behind what stands next to the sockets."""
        return SlowReader(create_app(self.gateway, self.verifier), tracer=self.gateway.telemetry.tracer)

    def http(self) -> httpx.AsyncClient:
        """A client of its REST application."""
        return client(self.application)


@asynccontextmanager
async def serving(
    script: Callable[[Request], Iterable[Step]] | ScriptedPool,
    settings: GatewaySettings | None = None,
    *,
    declared: Declared | None = None,
    clock: Clock = lambda: NOW,
    telemetry: Telemetry | None = None,
    **facts: Any,
) -> AsyncIterator[Served]:
    """A gateway over one model, ``tiny``."""
    pool = script if isinstance(script, ScriptedPool) else ScriptedPool(script)
    declared = declared or tenancy()
    models = {"tiny": model(pool, **facts)}
    shared = in_memory(models, declared=declared, clock=clock)
    gateway = create_gateway(models, shared, telemetry or Telemetry(), settings, clock=clock, entropy=entropy)
    verifier = Verifier(shared.directory, declared, clock)
    methods = Methods(gateway, verifier)
    async with (
        grpc_server(methods, tracer=gateway.telemetry.tracer) as target,
        grpc.aio.insecure_channel(target) as channel,
    ):
        yield Served(gateway, verifier, pool, channel)


@asynccontextmanager
async def grpc_server(
    methods: GrpcMethods, *, reflection: bool = False, tracer: Tracer | None = None
) -> AsyncIterator[str]:
    """``methods`` behind the door, which traces with ``tracer``. Where it listens."""
    server = gRPCGenericServer(lambda service_method, streaming_type: _handler(methods, service_method, streaming_type))
    with patch("deployments.gateway.grpc.services.socket_tracer", return_value=tracer or NoOpTracer()):
        for add in (add_inference, add_open_inference, add_health):
            add(Mock(), server)
    if reflection:
        enable_server_reflection(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def _handler(methods: GrpcMethods, service_method: str, streaming_type: str) -> Handler:
    method = getattr(methods, service_method.rpartition("/")[2])

    async def unary(request: Any, call: Call) -> bytes:
        reply: bytes = (await method(_carried(request), grpc_context=_context(call))).SerializeToString()
        return reply

    async def stream(request: Any, call: Call) -> AsyncGenerator[bytes]:
        replies = await method(_carried(request), grpc_context=_context(call))
        try:
            async for reply in replies:
                yield reply.SerializeToString()
        finally:
            await replies.aclose()

    return stream if streaming_type == "unary_stream" else unary


def _context(call: Call) -> RayServegRPCContext:
    return _carried(RayServegRPCContext(call))


def _carried(thing: Any) -> Any:
    """What comes out in another process."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301
