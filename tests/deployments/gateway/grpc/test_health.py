from __future__ import annotations

import asyncio
from contextlib import aclosing

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from deployments.gateway.grpc.health import SERVICES, watch
from deployments.gateway.grpc.services import INFERENCE, SERVICER_FUNCTIONS
from tests.deployments.gateway.grpc.served import Methods, grpc_server, serving
from tests.deployments.gateway.scripted import ScriptedPool, saying

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


def test_the_services_have_the_names_that_clients_know() -> None:
    assert SERVICES == (
        "",
        "dllm.inference.v1.InferenceService",
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
    )


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_service_serves_when_a_model_is_ready(service: str, is_ready: bool) -> None:
    async with serving(ScriptedPool(saying("never"), is_ready=is_ready)) as served:
        answer = await served.health.Check(HealthCheckRequest(service=service))
    assert answer.status == (SERVING if is_ready else NOT_SERVING)


async def test_nobody_serves_what_there_is_not() -> None:
    async with serving(saying("never")) as served:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.health.Check(HealthCheckRequest(service="other"))
        watching = served.health.Watch(HealthCheckRequest(service="other"))
        assert (await anext(aiter(watching))).status == HealthCheckResponse.SERVICE_UNKNOWN
        watching.cancel()
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_all_services_are_listed() -> None:
    async with serving(saying("never")) as served:
        answer = await served.health.List(HealthListRequest())
    assert {name: entry.status for name, entry in answer.statuses.items()} == dict.fromkeys(SERVICES, SERVING)


async def test_who_watches_is_told_what_changes() -> None:
    pool, looks = ScriptedPool(saying("never")), asyncio.Queue[None]()

    async def sleep(seconds: float) -> None:
        await looks.get()

    async with serving(pool) as served, aclosing(watch(served.gateway, INFERENCE, sleep)) as answers:
        assert (await anext(answers)).status == SERVING
        waiting = asyncio.ensure_future(anext(answers))
        looks.put_nowait(None)
        pool.is_ready = False
        looks.put_nowait(None)
        assert (await waiting).status == NOT_SERVING


async def test_a_gateway_says_so_over_the_wire_until_its_client_leaves() -> None:
    async with serving(saying("never")) as served:
        watching = served.health.Watch(HealthCheckRequest())
        assert (await anext(aiter(watching))).status == SERVING
        watching.cancel()


async def test_clients_find_the_definitions_where_they_are_shown() -> None:
    async with serving(saying("never")) as served:
        methods = Methods(served.gateway, served.verifier)
        async with grpc_server(methods, reflection=True) as target:

            def described() -> tuple[set[str], list[str]]:
                with grpc.insecure_channel(target) as channel:
                    database = ProtoReflectionDescriptorDatabase(channel)
                    file = database.FindFileContainingSymbol(INFERENCE)
                    return set(database.get_services()), [method.name for method in file.service[0].method]

            services, named = await asyncio.to_thread(described)
    assert services >= set(SERVICES) - {""}
    assert "StreamGenerate" in named
    assert len(SERVICER_FUNCTIONS) == 3
