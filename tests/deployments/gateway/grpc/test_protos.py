"""The definitions and the bodies of REST are one; what is compiled is what is defined."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from pydantic import BaseModel

from deployments.gateway.bands import ServiceTier
from deployments.gateway.effort import Effort
from deployments.gateway.grpc.bodies import prefix_of
from deployments.gateway.grpc.protos import open_inference_pb2
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from deployments.gateway.schema import (
    Cache,
    CanvasFormat,
    ChatBody,
    CompletionBody,
    Diffusion,
    InfillBody,
    Message,
)
from deployments.state.record import Status
from dllm_worker.request import Algorithm, CacheKind, EndOfSequence, Schedule
from dllm_worker.spec import ContextAttention

ROOT = Path(__file__).parents[4]
PROTOS = ROOT / "deployments" / "gateway" / "grpc" / "protos"

TRANSPORT = {"stream", "stream_options"}
"""The method says whether the answer is a stream, and every stream has its usage."""

ALIASES = {"diffusing", "max_completion_tokens", "best_of", "response_format"}
"""For clients of the OpenAI API: fields that another one says as well, or that take one value only."""

BODIES: list[tuple[Any, type[BaseModel], set[str]]] = [
    (pb.Chat.DESCRIPTOR, ChatBody, set()),
    (pb.Completion.DESCRIPTOR, CompletionBody, {"prompt_tokens"}),
    (pb.Infill.DESCRIPTOR, InfillBody, set()),
    (pb.Diffusion.DESCRIPTOR, Diffusion, set()),
    (pb.Cache.DESCRIPTOR, Cache, set()),
    (pb.Message.DESCRIPTOR, Message, set()),
]
WORDS: list[tuple[EnumDescriptor, Any]] = [
    (pb.Role.DESCRIPTOR, Message.model_fields["role"].annotation),
    (pb.ReasoningEffort.DESCRIPTOR, Effort),
    (pb.ServiceTier.DESCRIPTOR, ServiceTier),
    (pb.Watching.DESCRIPTOR, Diffusion.model_fields["stream"].annotation),
    (pb.CanvasFormat.DESCRIPTOR, CanvasFormat),
    (pb.ContextAttention.DESCRIPTOR, ContextAttention),
    (pb.Algorithm.DESCRIPTOR, Algorithm),
    (pb.Schedule.DESCRIPTOR, Schedule),
    (pb.CacheKind.DESCRIPTOR, CacheKind),
    (pb.EndOfSequence.DESCRIPTOR, EndOfSequence),
    (pb.FinishReason.DESCRIPTOR, Literal["stop", "length", "deadline"]),
    (pb.RequestStatus.DESCRIPTOR, Status),
]


def takes_something(body: type[BaseModel], name: str) -> bool:
    """Whether the field is more than a name that is refused."""
    return body.model_fields[name].annotation is not type(None)


@pytest.mark.parametrize(("message", "body", "beside"), BODIES, ids=lambda value: getattr(value, "__name__", None))
def test_a_message_has_the_fields_of_its_body(message: Descriptor, body: type[BaseModel], beside: set[str]) -> None:
    taken = {name for name in body.model_fields if takes_something(body, name)}
    outside = TRANSPORT | ALIASES if "model" in taken else set()
    assert set(message.fields_by_name) - beside == taken - outside


@pytest.mark.parametrize(("kind", "words"), WORDS, ids=lambda value: getattr(value, "name", None))
def test_an_enumeration_has_the_words_of_the_api(kind: EnumDescriptor, words: Any) -> None:
    assert get_origin(words) is Literal
    names = [value.name.removeprefix(prefix_of(kind)).lower() for value in kind.values[1:]]
    assert sorted(names) == sorted(get_args(words))


def test_each_enumeration_is_compared() -> None:
    assert {kind.name for kind, _ in WORDS} == set(pb.DESCRIPTOR.enum_types_by_name)


def test_a_file_has_the_path_of_its_package() -> None:
    assert pb.DESCRIPTOR.name == f"{pb.DESCRIPTOR.package.replace('.', '/')}/inference.proto"


@pytest.mark.parametrize("kind", list(pb.DESCRIPTOR.enum_types_by_name.values()), ids=lambda kind: str(kind.name))
def test_an_enumeration_begins_unspecified_and_its_values_have_its_name(kind: EnumDescriptor) -> None:
    prefix = "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in kind.name).lstrip("_") + "_"
    assert kind.values[0].name == f"{prefix}UNSPECIFIED"
    assert all(value.name.startswith(prefix) for value in kind.values)


@pytest.mark.parametrize("file", [pb.DESCRIPTOR, open_inference_pb2.DESCRIPTOR], ids=lambda file: str(file.name))
def test_each_method_has_messages_of_its_own(file: FileDescriptor) -> None:
    methods = [method for service in file.services_by_name.values() for method in service.methods]
    assert [method.input_type.name for method in methods] == [f"{method.name}Request" for method in methods]
    assert [method.output_type.name for method in methods] == [f"{method.name}Response" for method in methods]


@pytest.mark.parametrize("name", ["Chat", "Completion", "Infill", "Diffusion", "Cache", "Message"])
def test_a_field_that_is_left_out_is_told_from_one_that_is_empty(name: str) -> None:
    for field in pb.DESCRIPTOR.message_types_by_name[name].fields:
        assert field.is_repeated or field.enum_type or field.has_presence, field.name


def test_what_is_compiled_is_what_is_defined(tmp_path: Path) -> None:
    subprocess.run([ROOT / ".ci" / "protos", tmp_path], check=True, capture_output=True)
    compiled = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*_pb2*")}
    assert len(compiled) == 6
    assert {path: (PROTOS / path).read_bytes() for path in compiled} == compiled
