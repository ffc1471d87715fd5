"""The methods of all services, by the names under which Ray Serve calls them on the gateway's deployment."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from deployments.gateway.grpc import health, inference, open_inference
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb

if TYPE_CHECKING:
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthListRequest

    from deployments.gateway.grpc.calls import Calls
    from deployments.gateway.grpc.envelope import CallContext
    from deployments.gateway.grpc.protos import open_inference_pb2 as open_pb
    from deployments.gateway.grpc.reply import Reply


class GrpcMethods:
    """The methods of a deployment that has ``calls``. No two services have a method of the same name."""

    calls: Calls

    async def Generate(self, request: pb.GenerateRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, inference.generate)

    async def StreamGenerate(
        self, request: pb.StreamGenerateRequest, grpc_context: CallContext
    ) -> AsyncGenerator[Reply]:
        return self.calls.stream(request, grpc_context, inference.stream_generate, pb.StreamGenerateResponse)

    async def Infill(self, request: pb.InfillRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, inference.infill)

    async def StreamInfill(self, request: pb.StreamInfillRequest, grpc_context: CallContext) -> AsyncGenerator[Reply]:
        return self.calls.stream(request, grpc_context, inference.stream_infill, pb.StreamInfillResponse)

    async def ResumeGenerate(
        self, request: pb.ResumeGenerateRequest, grpc_context: CallContext
    ) -> AsyncGenerator[Reply]:
        return self.calls.stream(request, grpc_context, inference.resume, pb.ResumeGenerateResponse)

    async def Cancel(self, request: pb.CancelRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, inference.cancel)

    async def ListModels(self, request: pb.ListModelsRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, inference.list_models)

    async def ServerLive(self, request: open_pb.ServerLiveRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.open(request, grpc_context, open_inference.server_live)

    async def ServerReady(self, request: open_pb.ServerReadyRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.open(request, grpc_context, open_inference.server_ready)

    async def ServerMetadata(self, request: open_pb.ServerMetadataRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.open(request, grpc_context, open_inference.server_metadata)

    async def ModelReady(self, request: open_pb.ModelReadyRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, open_inference.model_ready)

    async def ModelMetadata(self, request: open_pb.ModelMetadataRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, open_inference.model_metadata)

    async def ModelInfer(self, request: open_pb.ModelInferRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.answer(request, grpc_context, open_inference.model_infer)

    async def Check(self, request: HealthCheckRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.open(request, grpc_context, lambda gateway: health.check(gateway, request.service))

    async def Watch(self, request: HealthCheckRequest, grpc_context: CallContext) -> AsyncGenerator[Reply]:
        return self.calls.watch(request, grpc_context, lambda gateway: health.watch(gateway, request.service))

    async def List(self, request: HealthListRequest, grpc_context: CallContext) -> Reply:
        return await self.calls.open(request, grpc_context, health.all_services)
