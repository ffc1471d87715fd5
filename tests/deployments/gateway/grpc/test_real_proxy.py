"""What leaves Ray Serve's own proxy when a deployment fails that is no gateway and guards nothing."""

from __future__ import annotations

import gc
import logging
import os
import tempfile
import warnings
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import grpc
import pytest
import ray
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_status.rpc_status import from_call
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions

from cluster.valkey import free_port
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.services import SERVICER_FUNCTIONS

pytestmark = pytest.mark.full

SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()


class Faulty:
    """Fails as its caller asks: by an exception, or by dying."""

    async def Check(self, request: Any, grpc_context: Any) -> Reply:
        return self._failed(request.service)

    async def Watch(self, request: Any, grpc_context: Any) -> AsyncGenerator[Reply]:
        yield Reply(SERVING, {"a": "b"})
        self._failed(request.service)

    def _failed(self, how: str) -> Reply:
        if how == "death":
            os._exit(1)
        raise RuntimeError("a secret")


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    port = free_port()
    environment = {
        "DLLM_GRPC_HOST": "127.0.0.1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.gateway.proxy:layers",
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="dllm-ray-", dir="/tmp", ignore_cleanup_errors=True) as directory,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=directory,
        )
        try:
            serve.start(
                http_options=HTTPOptions(host="127.0.0.1", port=free_port()),
                grpc_options=gRPCOptions(
                    port=port, grpc_servicer_functions=SERVICER_FUNCTIONS, enable_reflection=False
                ),
            )
            serve.run(serve.deployment(Faulty, ray_actor_options={"num_cpus": 0}).bind(), name="faulty")
            yield f"127.0.0.1:{port}"
        finally:
            serve.shutdown()
            ray.shutdown()
            with warnings.catch_warnings():
                # Ray lets go of its processes without having waited for them.
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()


@pytest.mark.parametrize("how", ["exception", "death"])
@pytest.mark.parametrize("stream", [False, True])
async def test_no_traceback_leaves(target: str, how: str, stream: bool) -> None:
    request, metadata = HealthCheckRequest(service=how), (("x-request-id", "r"),)
    async with grpc.aio.insecure_channel(target) as channel:
        health = HealthStub(channel)
        call = health.Watch(request, metadata=metadata) if stream else health.Check(request, metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            _ = [answer async for answer in call] if stream else await call
    error, info = failed.value, ErrorInfo()
    assert from_call(error).details[0].Unpack(info)
    assert (error.code(), info.reason) in (
        (grpc.StatusCode.INTERNAL, "internal_error"),
        (grpc.StatusCode.UNAVAILABLE, "unavailable"),
    )
    everything = f"{error.details()} {error.trailing_metadata()}"
    assert not any(word in everything for word in ("Traceback", "secret", "RuntimeError", "pid", "ActorDied"))
    assert dict(error.trailing_metadata())["x-request-id"] == "r"
