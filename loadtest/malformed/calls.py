"""Malformed calls over gRPC: messages with odd values, bytes that are none, and metadata that nobody should send."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from deployments.gateway.grpc.protos import open_inference_pb2 as open_pb
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.grpc.services import METHODS
from deployments.tenancy.keys import make_key
from loadtest.malformed.attacks import MODEL

VALID: dict[str, Message] = {
    "Generate": pb.GenerateRequest(completion=pb.Completion(model=MODEL, prompt="x = [", max_tokens=4)),
    "StreamGenerate": pb.StreamGenerateRequest(chat=pb.Chat(model=MODEL, max_tokens=4, messages=[pb.Message()])),
    "Infill": pb.InfillRequest(infill=pb.Infill(model=MODEL, template="a = {{hole}}", hole_tokens=[2])),
    "ResumeGenerate": pb.ResumeGenerateRequest(),
    "Cancel": pb.CancelRequest(),
    "ListModels": pb.ListModelsRequest(),
    "ModelInfer": open_pb.ModelInferRequest(model_name=MODEL),
    "ModelMetadata": open_pb.ModelMetadataRequest(name=MODEL),
}
PATHS = {path.rpartition("/")[2]: f"/{path}" for path in METHODS.values()}
STREAMS = frozenset({"StreamGenerate", "ResumeGenerate"})

TEXTS = ("", "a", "\0", "\u202e", "<|mask|>", "{{hole}}" * 50, "9" * 400, "x" * 20_000)
NUMBERS = (0, 1, -1, 2**31 - 1, -(2**31))
LARGE_NUMBERS = (*NUMBERS, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, -1.0, 1e308, float("nan"), float("inf"), 1e-320)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the bytes of its request, and what is said beside them."""

    kind: str
    path: str
    data: bytes
    streams: bool = False
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=())
    seconds: float | None = None


def odd_message(draw: random.Random, message: Message, depth: int = 0) -> Message:
    """``message`` with some of its fields set to odd values of their types."""
    for described in message.DESCRIPTOR.fields:
        if draw.random() > 0.25:
            continue
        if described.message_type is not None and described.message_type.GetOptions().map_entry:
            continue
        values = [_odd(draw, described, depth) for _ in range(draw.choice((1, 1, 3, 60)))]
        if described.is_repeated:
            held = getattr(message, described.name)
            held.extend(values)
        elif described.message_type is not None:
            getattr(message, described.name).CopyFrom(values[0])
        else:
            setattr(message, described.name, values[0])
    return message


def _odd(draw: random.Random, described: Any, depth: int) -> Any:
    kind = described.cpp_type
    if described.message_type is not None:
        made = GetMessageClass(described.message_type)()
        return made if depth > 4 else odd_message(draw, made, depth + 1)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return draw.randbytes(9) if described.type == FieldDescriptor.TYPE_BYTES else draw.choice(TEXTS)
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return draw.choice(FLOATS)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return draw.random() < 0.5
    if kind in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        return draw.choice((0, 1, 2**32 - 1))
    return draw.choice(LARGE_NUMBERS if kind == FieldDescriptor.CPPTYPE_INT64 else NUMBERS)


class GrpcAttacks:
    """Draws calls of a tenant with ``key`` from ``draw``."""

    def __init__(self, draw: random.Random, key: str) -> None:
        self._draw = draw
        self._authorized = (("authorization", f"Bearer {key}"),)
        kinds: dict[Callable[[], Call], int] = {
            self.odd_fields: 180,
            self.garbled: 120,
            self.metadata: 48,
            self.credential: 24,
            self.method: 27,
            self.large: 1,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def draw(self) -> Call:
        """The next one."""
        (kind,) = self._draw.choices(self._kinds, self._weights)
        return kind()

    def well_formed(self) -> Call:
        """What the others are made from, before anything is wrong with it."""
        name, message = self._valid()
        return Call("well-formed", PATHS[name], message.SerializeToString(), name in STREAMS, self._authorized)

    def odd_fields(self) -> Call:
        """A message of the method with values that mean nothing."""
        name, message = self._valid()
        return self._call("odd fields", name, odd_message(self._draw, message).SerializeToString())

    def garbled(self) -> Call:
        """What is no message, or one with a byte changed, cut off, or nested deeply."""
        draw, (name, message) = self._draw, self._valid()
        data = message.SerializeToString() or b"\x0a\x00"
        at = draw.randrange(len(data))
        nested = b"\x0a\x02"
        for _ in range(draw.choice((10, 99, 300))):
            nested = b"\x0a" + bytes([min(len(nested), 127)]) + nested
        wire = (
            data[:at], data[:at] + draw.randbytes(3) + data[at:], draw.randbytes(draw.randint(1, 300)), nested,
            b"\x0b" * 300, data * 20, b"\x82\x80\x80\x80\x80\x80\x80\x80\x80\x01", data + b"\xfa\xff\xff\xff\x0f\x00",
        )  # fmt: skip
        return self._call("bytes", name, draw.choice(wire))

    def metadata(self) -> Call:
        """Metadata that cannot be, and orders that a client may not give."""
        draw, (name, message) = self._draw, self._valid()
        key = draw.choice(
            (
                *("x-dllm-deadline-ms", "idempotency-key", "x-request-id", "traceparent", "application", "session_id"),
                *("multiplexed_model_id", "request_id", "x-dllm-remaining-ms", "x-dllm-strict", "junk"),
            )
        )
        value = draw.choice(("", "-1", "9" * 400, "a" * 6000, "a" * 30_000, "00-0-0-00", "\x7e", "true"))
        pairs: tuple[tuple[str, str | bytes], ...] = ((key, value),) * draw.choice((1, 1, 2))
        binary: tuple[tuple[str, str | bytes], ...] = (("grpc-trace-bin", draw.randbytes(40)),)
        return self._call("metadata", name, message.SerializeToString(), *(pairs if draw.random() < 0.8 else binary))

    def credential(self) -> Call:
        """Keys that nobody has."""
        draw, (name, message) = self._draw, self._valid()
        made = make_key("test", draw.randbytes)
        value = draw.choice(("", "Bearer", "Basic YTpi", f"Bearer {draw.randbytes(20).hex()}", f"Bearer {made}"))
        data = message.SerializeToString()
        return Call("credential", PATHS[name], data, name in STREAMS, (("authorization", value),))

    def method(self) -> Call:
        """A method that there is not."""
        path = self._draw.choice(
            ("/a/b", "/dllm.inference.v1.InferenceService/Nope", "/ray.serve.RayServeAPIService/No")
        )
        return Call("method", path, b"\x0a\x00", metadata=self._authorized)

    def large(self) -> Call:
        """As much as is taken, and more."""
        prompt = "a" * self._draw.choice((1_000_000, 1_100_000, 6_000_000))
        asked = pb.GenerateRequest(completion=pb.Completion(model=MODEL, prompt=prompt, max_tokens=1))
        return self._call("large", "Generate", asked.SerializeToString())

    def _call(self, kind: str, name: str, data: bytes, *metadata: tuple[str, str | bytes]) -> Call:
        seconds = self._draw.choice((None, None, None, 0.001))
        return Call(kind, PATHS[name], data, name in STREAMS, (*self._authorized, *metadata), seconds)

    def _valid(self) -> tuple[str, Message]:
        name, message = self._draw.choice(list(VALID.items()))
        made: Any = type(message)()
        made.CopyFrom(message)
        return name, made
