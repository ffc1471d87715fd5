"""Whether clients of a cluster are served: one answer over each way in, by a key that is made for it and taken away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cluster.client.admin import AdminClient
from cluster.client.admin_answers import NewKey, Tenant
from cluster.client.client import Client
from cluster.client.errors import TenantNotFound
from cluster.client.events import Finished, TextDelta
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2
from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2_grpc import InferenceServiceStub
from deployments.gateway.grpc.services import INFERENCE

KEY_SECONDS = 600.0
"""A key that could not be taken away ends by itself."""

POLL_SECONDS = 0.5
REQUEST_SECONDS = 60.0
PROMPT, MAX_TOKENS, SEED = "import ", 24, 7

Say = Callable[[str], None]
Metadata = tuple[tuple[str, str], ...]


class SmokeError(RuntimeError):
    """The cluster does not serve, for the reason in the message."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a cluster is reached. ``base_url`` ends in ``/v1``; without ``grpc_address`` it is not asked over gRPC."""

    base_url: str
    grpc_address: str | None = None

    @property
    def root_url(self) -> str:
        """Where the health is told."""
        return self.base_url.rstrip("/").removesuffix("/v1")


def smoke(doors: Doors, admin: AdminClient, tenant: str, model: str | None, wait_seconds: float, say: Say) -> None:
    """Have one answer from ``model``, or from the first that the key may use, over each of ``doors``.

    Waits for a cluster that is starting. Raises :class:`SmokeError` when it is not served, and
    :class:`cluster.client.errors.ClientError` when it is refused. The key ends in any case, and the tenant is removed
    if it was not there.
    """
    models = wait_until_ready(doors, wait_seconds)
    say(f"ready    {', '.join(models)}")
    with key_of(admin, tenant) as key:
        say(f"key      {key.id} of {key.tenant}")
        with Client(doors.base_url, key.key) as client:
            model = model or _first_model(client)
            say(f"http     {_stream(client, model)}")
        if doors.grpc_address is not None:
            with grpc.insecure_channel(doors.grpc_address) as channel:
                say(f"grpc     {_call(channel, key.key, model)}")
    say(f"revoked  {key.id}")


def wait_until_ready(doors: Doors, seconds: float) -> tuple[str, ...]:
    """The models that are served. Raises :class:`SmokeError` when there are none after ``seconds``."""
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=doors.root_url, timeout=REQUEST_SECONDS) as http:
        while True:
            found = _readiness(http)
            if not isinstance(found, str):
                return found
            if time.monotonic() > deadline:
                raise SmokeError(f"not ready after {seconds:g} s: {found}")
            time.sleep(POLL_SECONDS)


@contextmanager
def key_of(admin: AdminClient, tenant: str) -> Iterator[NewKey]:
    """A key of ``tenant`` for as long as the context lasts. A tenant that is not there yet is made, and removed."""
    is_made = _make(admin, tenant)
    try:
        key = admin.create_key(tenant, name="smoke", environment="smoke", expires_in_seconds=KEY_SECONDS)
        try:
            yield key
        finally:
            admin.revoke_key(key.id)
    finally:
        if is_made:
            admin.remove_tenant(tenant)


def _make(admin: AdminClient, tenant: str) -> bool:
    try:
        admin.tenant(tenant)
    except TenantNotFound:
        admin.put_tenant(Tenant(name=tenant))
        return True
    return False


def _readiness(http: httpx.Client) -> tuple[str, ...] | str:
    """The models that are ready, or why there are none."""
    try:
        response = http.get("/health/ready")
        if response.is_success:
            return tuple(name for name, is_ready in response.json()["models"].items() if is_ready)
    except httpx.RequestError as error:
        return str(error) or type(error).__name__
    return f"answered with {response.status_code}"


def _first_model(client: Client) -> str:
    models = client.models().data
    if not models:
        raise SmokeError("the key may use no model")
    return models[0].id


def _stream(client: Client, model: str) -> str:
    """What came of a streamed completion."""
    pieces: list[str] = []
    reason = None
    with client.stream_completion(PROMPT, model, max_tokens=MAX_TOKENS, seed=SEED) as stream:
        for event in stream:
            match event:
                case TextDelta():
                    pieces.append(event.text)
                case Finished():
                    reason = event.reason
    if reason is None or not pieces:
        raise SmokeError(f"{model} wrote {len(pieces)} pieces of text, and its answer ended with {reason}")
    return f"{model}: {len(''.join(pieces))} characters in {len(pieces)} pieces, {reason}"


def _call(channel: grpc.Channel, key: str, model: str) -> str:
    """What came of a call. Health is asked of the service that is called."""
    try:
        health: Any = HealthStub(channel)
        status = health.Check(HealthCheckRequest(service=INFERENCE), timeout=REQUEST_SECONDS).status
        if status != HealthCheckResponse.SERVING:
            raise SmokeError(f"gRPC: {INFERENCE} is {HealthCheckResponse.ServingStatus.Name(status)}")
        answer = _generate(channel, model, (("authorization", f"Bearer {key}"),))
    except grpc.RpcError as error:
        raise SmokeError(f"gRPC: {error.code().name}: {error.details()}") from error
    choice = answer.choices[0]
    reason = inference_pb2.FinishReason.Name(choice.finish_reason).removeprefix("FINISH_REASON_").lower()
    if not choice.text or choice.finish_reason == inference_pb2.FINISH_REASON_UNSPECIFIED:
        raise SmokeError(f"gRPC: {model} wrote {choice.text!r}, and its answer ended with {reason}")
    return f"{model}: {len(choice.text)} characters, {reason}"


def _generate(channel: grpc.Channel, model: str, metadata: Metadata) -> Any:
    service: Any = InferenceServiceStub(channel)
    completion = inference_pb2.Completion(model=model, prompt=PROMPT, max_tokens=MAX_TOKENS, seed=SEED)
    request = inference_pb2.GenerateRequest(completion=completion)
    return service.Generate(request, metadata=metadata, timeout=REQUEST_SECONDS)
