"""From the messages of a request to the same bodies that REST has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from pydantic import ValidationError

from deployments.gateway.grpc.protos.dllm.inference.v1.inference_pb2 import Chat, Completion, Infill
from deployments.gateway.schema import ChatBody, CompletionBody, GenerationBody, InfillBody

Body = TypeVar("Body", bound=GenerationBody)

UNSPECIFIED = "UNSPECIFIED"


def chat_body(chat: Chat, *, stream: bool) -> ChatBody:
    """Raises ``RequestValidationError``, as all of these do."""
    body = _body_json(chat, stream=stream)
    if "prediction" in body:
        body["prediction"] = {"type": "content", "content": body["prediction"]}
    return validated(ChatBody, body)


def completion_body(completion: Completion, *, stream: bool) -> CompletionBody:
    """The prompt is text or tokens."""
    body = _body_json(completion, stream=stream)
    tokens = body.pop("prompt_tokens", None)
    return validated(CompletionBody, body if tokens is None else {**body, "prompt": tokens.get("ids", [])})


def infill_body(infill: Infill, *, stream: bool) -> InfillBody:
    """A single number of tokens is that of every hole."""
    body = _body_json(infill, stream=stream)
    if len(body.get("hole_tokens", ())) == 1:
        (body["hole_tokens"],) = body["hole_tokens"]
    return validated(InfillBody, body)


def validated(kind: type[Body], body: Mapping[str, Any]) -> Body:
    """``body`` as REST takes it. Raises ``RequestValidationError`` as REST does."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error


def _body_json(task: Message, *, stream: bool) -> dict[str, Any]:
    """The fields that were sent. One that this version does not know has its number for a name."""
    fields = UnknownFieldSet(task)
    unknown = {f"field_{fields[index].field_number}": None for index in range(len(fields))}
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {**_json(task), **unknown, **options}


def _json(message: Message) -> dict[str, Any]:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _json(value)
    return value if field.enum_type is None else word_of(field.enum_type, value)


def word_of(kind: EnumDescriptor, number: int) -> str:
    """The word of the API for a value of an enumeration; a number that this version does not know stays one."""
    value = kind.values_by_number.get(number)
    return str(number) if value is None else value.name.removeprefix(prefix_of(kind)).lower()


def number_of(kind: EnumDescriptor, word: str) -> Any:
    """The value for a word of the API."""
    return kind.values_by_name[prefix_of(kind) + word.upper()].number


def prefix_of(kind: EnumDescriptor) -> str:
    """What the names of all values begin with."""
    return str(kind.values_by_number[0].name).removesuffix(UNSPECIFIED)
