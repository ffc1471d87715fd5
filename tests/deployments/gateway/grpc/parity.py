"""One request over REST and over gRPC, and what came back, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RequestInfo, RetryInfo
from grpc_status.rpc_status import from_call

from deployments.gateway.grpc.bodies import prefix_of
from deployments.gateway.grpc.protos.dllm.inference.v1 import inference_pb2 as pb
from tests.deployments.gateway.grpc.served import Served

PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions", "infill": "/v1/infill"}
MESSAGES: Mapping[str, type[Message]] = {"chat": pb.Chat, "completion": pb.Completion, "infill": pb.Infill}
TOLD = ("x-dllm-", "x-ratelimit-", "x-request-id", "idempotent-replayed", "retry-after", "x-should-retry")
"""The headers that both protocols have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer or an error; ``text`` are the answers so far, also where an error came after them."""

    texts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    usage: Mapping[str, Any] = field(default_factory=dict)
    head: tuple[Any, ...] = ()
    logprobs: tuple[Any, ...] = ()
    views: tuple[Any, ...] = ()
    error: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def task_of(kind: str, body: Mapping[str, Any]) -> Any:
    """``body`` as the message of its task."""
    given = dict(body)
    if isinstance(given.get("prompt"), list):
        given["prompt_tokens"] = {"ids": given.pop("prompt")}
    if isinstance(given.get("hole_tokens"), int):
        given["hole_tokens"] = [given["hole_tokens"]]
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    if "prediction" in given:
        given["prediction"] = given["prediction"]["content"]
    message: Any = MESSAGES[kind]
    return ParseDict(_named(message.DESCRIPTOR, given), message())


def _named(kind: Descriptor, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(kind.fields_by_name[name], value) for name, value in given.items()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return prefix_of(field.enum_type) + value.upper()
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return value
    if field.is_repeated:
        return [_named(field.message_type, item) for item in value]
    return _named(field.message_type, value)


async def over_rest(
    served: Served, kind: str, body: Mapping[str, Any], headers: Mapping[str, str], *, stream: bool
) -> Outcome:
    """What REST makes of it."""
    given = {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body
    async with served.http() as http:
        response = await http.post(PATHS[kind], json=given, headers=dict(headers))
    told = _told(response.headers.items())
    if response.status_code != 200:
        return Outcome(error=_rest_error(response), headers=told)
    if stream:
        return _rest_stream(response, told)
    answer = response.json()
    return Outcome(
        texts=tuple(_rest_text(choice) for choice in answer.get("choices", [answer])),
        reasons=_rest_reasons(answer, answer.get("choices", [answer])),
        holes=tuple(answer.get("holes", ())),
        usage=answer["usage"],
        head=_rest_head(answer),
        logprobs=tuple(_rest_logprobs(choice) for choice in answer.get("choices", ())),
        headers=told,
    )


def _rest_stream(response: httpx.Response, told: Mapping[str, str]) -> Outcome:
    chunks = [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: {")]
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    holes: dict[int, str] = {}
    views: list[Any] = []
    usage: dict[str, Any] = {}
    error = None
    for chunk in chunks:
        if "error" in chunk:
            error = {**chunk["error"], "request_id": chunk["request_id"]}
            continue
        usage = chunk["usage"] or usage
        for choice in chunk.get("choices", [chunk]):
            index = choice.get("index", 0)
            texts[index] = texts.get(index, "") + (_rest_text(choice) or "")
            if choice["finish_reason"]:
                (reasons[index],) = _rest_reasons(chunk, [choice])
            if choice.get("hole") is not None:
                holes[choice["hole"]] = holes.get(choice["hole"], "") + choice["delta"]
        if "seq" in chunk.get("diffusion", {}):
            views.append({name: value for name, value in chunk["diffusion"].items() if name != "seq"})
    return Outcome(
        texts=tuple(text for _, text in sorted(texts.items())),
        reasons=tuple(reason for _, reason in sorted(reasons.items())),
        holes=tuple(text for _, text in sorted(holes.items())),
        usage=usage,
        head=_rest_head(chunks[0]),
        views=tuple(views),
        error=error,
        headers=told,
    )


def _rest_text(choice: Mapping[str, Any]) -> str:
    if "message" in choice:
        return str(choice["message"]["content"])
    if isinstance(choice.get("delta"), dict):
        return str(choice["delta"].get("content", ""))
    return str(choice.get("text", choice.get("delta", "")))


def _rest_reasons(answer: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    by_deadline = answer.get("diffusion", {}).get("finish") == "deadline"
    return tuple("deadline" if by_deadline else choice["finish_reason"] for choice in choices)


def _rest_head(answer: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(answer.get(name) for name in ("created", "model", "system_fingerprint", "service_tier"))


def _rest_logprobs(choice: Mapping[str, Any]) -> Any:
    told = choice.get("logprobs")
    return (
        ()
        if not told
        else tuple(
            (entry["token"], entry["logprob"], [(top["token"], top["logprob"]) for top in entry["top_logprobs"]])
            for entry in told["content"]
        )
    )


def _rest_error(response: httpx.Response) -> Mapping[str, Any]:
    return {**response.json()["error"], "request_id": response.json()["request_id"], "status": response.status_code}


async def over_grpc(
    served: Served, kind: str, body: Mapping[str, Any], headers: Mapping[str, str], *, stream: bool
) -> Outcome:
    """What gRPC makes of it."""
    call = _call(served, kind, task_of(kind, body), tuple(headers.items()), stream=stream)
    events: list[pb.Event] = []
    try:
        if not stream:
            return _whole(await call, _told(await call.initial_metadata()))
        async for response in call:
            events += [response.event]
    except grpc.aio.AioRpcError as error:
        metadata = (*(await call.initial_metadata()), *(await call.trailing_metadata()))
        return _streamed(events, _told(metadata), _grpc_error(error))
    return _streamed(events, _told(await call.initial_metadata()), None)


def _call(served: Served, kind: str, task: Any, metadata: Any, *, stream: bool) -> Any:
    method = ("Stream" if stream else "") + ("Infill" if kind == "infill" else "Generate")
    request = getattr(pb, f"{method}Request")(**{kind: task})
    return getattr(served.inference, method)(request, metadata=metadata)


def _whole(answer: Any, told: Mapping[str, str]) -> Outcome:
    choices = list(getattr(answer, "choices", [answer]))
    return Outcome(
        texts=tuple(choice.text for choice in choices),
        reasons=tuple(_reason(choice) for choice in choices),
        holes=tuple(getattr(answer, "holes", ())),
        usage=_usage(answer.usage),
        head=_head(answer),
        logprobs=tuple(_logprobs(choice.logprobs) for choice in getattr(answer, "choices", ())),
        headers=told,
    )


def _streamed(events: Sequence[pb.Event], told: Mapping[str, str], error: Mapping[str, Any] | None) -> Outcome:
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    holes: dict[int, str] = {}
    views: list[Any] = []
    usage: dict[str, Any] = {}
    head: tuple[Any, ...] = ()
    for event in events:
        match event.WhichOneof("event"):
            case "header":
                head = _head(event.header)
                texts[0] = ""
            case "committed":
                text = event.committed
                texts[text.choice] = texts.get(text.choice, "") + text.text
                if text.HasField("hole"):
                    holes[text.hole] = holes.get(text.hole, "") + text.text
            case "canvas":
                views.append(_view(event.canvas))
            case "finished":
                reasons[event.finished.choice] = _reason(event.finished)
            case "usage":
                usage = _usage(event.usage)
    return Outcome(
        texts=tuple(text for _, text in sorted(texts.items())),
        reasons=tuple(reason for _, reason in sorted(reasons.items())),
        holes=tuple(text for _, text in sorted(holes.items())),
        usage=usage,
        head=head,
        views=tuple(views),
        error=error,
        headers=told,
    )


def _logprobs(told: Sequence[pb.TokenLogprob]) -> tuple[Any, ...]:
    return tuple(
        (entry.token, entry.logprob, [(top.token, top.logprob) for top in entry.top_logprobs]) for entry in told
    )


def _reason(choice: Any) -> str:
    return str(pb.FinishReason.Name(choice.finish_reason)).removeprefix("FINISH_REASON_").lower()


def _head(answer: Any) -> tuple[Any, ...]:
    tier = pb.ServiceTier.Name(answer.service_tier).removeprefix("SERVICE_TIER_").lower()
    return answer.created.seconds, answer.model, answer.system_fingerprint, tier


def _usage(usage: pb.Usage) -> dict[str, Any]:
    """With the counts that are 0, which are not written on the wire."""
    told: dict[str, Any] = MessageToDict(
        usage, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    numbers: dict[str, Any] = _numbers(told)
    return numbers


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return int(value) if isinstance(value, str) else value


def _view(canvas: pb.Canvas) -> dict[str, Any]:
    names = ("block", "step", "masked", "start", "length", "committed_chars")
    shown = {name: getattr(canvas, name) for name in names}
    shown["max_steps"] = canvas.max_steps if canvas.HasField("max_steps") else None
    if canvas.HasField("snapshot"):
        return {**shown, "text": canvas.snapshot}
    edits = canvas.patch.edits
    return {**shown, "edits": [{"pos": e.position, "text": e.text if e.HasField("text") else None} for e in edits]}


def _grpc_error(error: grpc.aio.AioRpcError) -> Mapping[str, Any]:
    """Read from the details of the status alone."""
    status = from_call(error)
    details = {each.TypeName(): each for each in status.details}
    info, request, bad, retry = ErrorInfo(), RequestInfo(), BadRequest(), RetryInfo()
    for message in (info, request, bad, retry):
        if message.DESCRIPTOR.full_name in details:
            details[message.DESCRIPTOR.full_name].Unpack(message)
    assert info.domain == "dllm"
    return {
        "grpc_status": error.code().name,
        "message": error.details(),
        "code": info.reason,
        "param": bad.field_violations[0].field if bad.field_violations else None,
        "request_id": request.request_id,
        "retry_ms": retry.retry_delay.ToMilliseconds() if "google.rpc.RetryInfo" in details else None,
        "is_quota": QuotaFailure.DESCRIPTOR.full_name in details,
        **{name: value for name, value in info.metadata.items() if name != "should_retry"},
    }


def _told(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    return {name: value for name, value in pairs if name.startswith(TOLD)}
