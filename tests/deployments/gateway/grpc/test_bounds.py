"""What a client may have of a connection, on a server as Ray Serve makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from ray.serve._private import grpc_util

from deployments.gateway.grpc.bounds import CALLS_OF_A_CONNECTION, METADATA_BYTES, OPTIONS, bound_calls
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.services import add_health

SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()
MESSAGE_BYTES = 1 << 16


@asynccontextmanager
async def served(patch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[HealthStub]:
    """A server that keeps to the bounds, and to one of a message's size as Ray Serve's servers do."""
    limit = ("grpc.max_receive_message_length", MESSAGE_BYTES)
    patch.setattr(grpc_util, "DEFAULT_GRPC_SERVER_OPTIONS", [limit])
    bound_calls()

    async def answer(request: Any, call: Any) -> bytes:
        return Reply(SERVING).SerializeToString()

    server = grpc_util.gRPCGenericServer(lambda service_method, streaming_type: answer)
    add_health(Mock(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", **options) as channel:
            yield HealthStub(channel)
    finally:
        await server.stop(None)


async def code(health: HealthStub, request: HealthCheckRequest, **metadata: str) -> grpc.StatusCode:
    try:
        await health.Check(request, metadata=tuple(metadata.items()))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_metadata_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(monkeypatch) as health:
        assert await code(health, HealthCheckRequest(), mine="a" * (METADATA_BYTES // 2)) is grpc.StatusCode.OK
        long = await code(health, HealthCheckRequest(), mine="a" * (METADATA_BYTES + 1))
        assert long is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_counts_as_it_is_when_it_is_not_compressed(
    monkeypatch: pytest.MonkeyPatch, compression: grpc.Compression
) -> None:
    async with served(monkeypatch, compression=compression) as health:
        assert await code(health, HealthCheckRequest(service="a" * (MESSAGE_BYTES - 100))) is grpc.StatusCode.OK
        bomb = await code(health, HealthCheckRequest(service="a" * (50 * MESSAGE_BYTES)))
        assert bomb is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_calls_of_a_connection_are_bounded() -> None:
    assert ("grpc.max_concurrent_streams", CALLS_OF_A_CONNECTION) in OPTIONS
