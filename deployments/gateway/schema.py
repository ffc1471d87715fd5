"""The bodies that clients send.

Each field of the OpenAI API which is known here is either honoured or declared with :func:`only`, which accepts the
values that change nothing and refuses every other by name. A field that is not known is accepted and reported in the
answer's ``x-dllm-ignored-params`` header; inside ``diffusion`` it is refused. Numbers have the engine's own ranges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from deployments.gateway.effort import Effort
from dllm_worker import ranges
from dllm_worker.request import Algorithm, CacheKind, EndOfSequence, Schedule
from dllm_worker.spec import ContextAttention

UNSUPPORTED = "unsupported_parameter"
CanvasFormat = Literal["patch", "snapshot"]


def only(*neutral: object) -> BeforeValidator:
    """Accept ``null`` and the ``neutral`` values; refuse every other as unsupported."""

    def check(value: object) -> object:
        if value is None or any(value == item and type(value) is type(item) for item in neutral):
            return None
        allowed = " or ".join(json.dumps(item) for item in neutral) or "null"
        raise PydanticCustomError(UNSUPPORTED, "not supported; only {allowed} is accepted", {"allowed": allowed})

    return BeforeValidator(check)


def within(allowed: ranges.Range) -> Any:
    """The constraint that a number lies in ``allowed``."""
    bounds: dict[str, Any] = {"gt" if allowed.open else "ge": allowed.least}
    if allowed.most < math.inf:
        bounds["le"] = allowed.most
    return Field(**bounds)


def _listed(value: object) -> object:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _flattened(value: object) -> object:
    """The text of a message whose content may be a list of text parts."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
        raise PydanticCustomError(UNSUPPORTED, "only parts of type 'text' are supported")
    texts = [part.get("text") for part in value]
    if not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("text_part", "each text part needs a string 'text'")
    return "".join(texts)


def _is_token_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int and item >= 0 for item in value)


def _one_prompt(value: object) -> object:
    """The single prompt of a completion: text or token ids, bare or as a list of one."""
    if isinstance(value, list) and len(value) == 1 and not _is_token_list(value):
        value = value[0]
    if isinstance(value, str):
        return _unicode(value)
    if _is_token_list(value):
        return value
    if isinstance(value, list) and len(value) > 1:
        raise PydanticCustomError(UNSUPPORTED, "only one prompt a request is supported")
    raise PydanticCustomError("prompt_type", "a string or a list of token ids is expected")


def _unicode(value: str) -> str:
    """JSON can spell half of a surrogate pair, which no text has and nothing can encode."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("string_unicode", "the text is not valid Unicode") from error
    return value


def _one_or_many(value: object) -> object:
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and number >= 1 for number in numbers):
        raise PydanticCustomError("hole_tokens_type", "a positive integer or a list of them is expected")
    return value


Null = Annotated[None, only()]
PositiveInt = Annotated[int, Field(ge=1)]
Text = Annotated[str, AfterValidator(_unicode)]
Label = Annotated[Text, Field(max_length=512)]
Stop = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=256)]],
    Field(max_length=4),
    BeforeValidator(_listed, json_schema_input_type=str | list[str] | None),
]


class StreamOptions(BaseModel):
    """What else a stream should carry."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    include_usage: bool = False
    include_obfuscation: Annotated[None, only(False)] = None


class Cache(BaseModel):
    """How keys and values are reused within a canvas by a model that can only do so approximately."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: CacheKind | None = None
    refresh_every: Annotated[int, within(ranges.CACHE["refresh_every"])] | None = None
    before: Annotated[int, within(ranges.CACHE["before"])] | None = None
    after: Annotated[int, within(ranges.CACHE["after"])] | None = None


class Diffusion(BaseModel):
    """How the canvas is denoised and whether the client watches; what is left out comes from the model."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    stream: Literal["committed", "canvas"] = "committed"
    canvas_format: CanvasFormat = "patch"
    canvas_every: PositiveInt = 1
    block_length: PositiveInt | None = None
    context_attention: ContextAttention | None = None
    cache: Cache | None = None
    algorithm: Algorithm | None = None
    schedule: Schedule | None = None
    max_steps: Annotated[int, within(ranges.SAMPLING["max_steps"])] | None = None
    quota: Annotated[int, within(ranges.SAMPLING["quota"])] | None = None
    confidence_threshold: Annotated[float, within(ranges.SAMPLING["threshold"])] | None = None
    editing_threshold: Annotated[float, within(ranges.SAMPLING["editing_threshold"])] | None = None
    max_post_steps: Annotated[int, within(ranges.SAMPLING["max_post_steps"])] | None = None
    factor: Annotated[float, within(ranges.SAMPLING["factor"])] | None = None
    entropy_bound: Annotated[float, within(ranges.SAMPLING["entropy_bound"])] | None = None
    entropy_exit: Annotated[float, within(ranges.SAMPLING["entropy_exit"])] | None = None
    gap_exit: Annotated[float, within(ranges.SAMPLING["gap_exit"])] | None = None
    stability: Annotated[int, within(ranges.SAMPLING["stability"])] | None = None
    t_min: Annotated[float, within(ranges.SAMPLING["t_min"])] | None = None
    t_max: Annotated[float, within(ranges.SAMPLING["t_max"])] | None = None
    open_share: Annotated[float, within(ranges.SAMPLING["open_share"])] | None = None
    force_share: Annotated[float, within(ranges.SAMPLING["force_share"])] | None = None
    guidance: Annotated[float, within(ranges.SAMPLING["guidance"])] | None = None
    leftmost_eos: bool | None = None
    eos: EndOfSequence | None = None
    top_k: Annotated[int, within(ranges.SAMPLING["top_k"])] | None = None
    seed_canvas: Null = None


class GenerationBody(BaseModel):
    """What every generating endpoint takes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    model: Text
    temperature: Annotated[float, within(ranges.SAMPLING["temperature"])] | None = None
    top_p: Annotated[float, within(ranges.SAMPLING["top_p"])] | None = None
    seed: Annotated[int, within(ranges.SAMPLING["seed"])] | None = None
    reasoning_effort: Effort | None = None
    stream: bool | None = None
    store_stream: bool | None = None
    stream_options: StreamOptions | None = None
    diffusion: Diffusion | None = None
    diffusing: bool | None = None
    user: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = None
    metadata: Annotated[dict[Annotated[Text, Field(max_length=64)], Label], Field(max_length=16)] | None = None
    n: Annotated[None, only(1)] = None
    logit_bias: Annotated[None, only({})] = None
    presence_penalty: Annotated[None, only(0, 0.0)] = None
    frequency_penalty: Annotated[None, only(0, 0.0)] = None
    service_tier: Annotated[None, only("auto", "default")] = None
    store: Annotated[None, only(False)] = None

    def ignored(self) -> Iterator[str]:
        """The names of the fields that were sent and are not known."""
        yield from self.model_extra or ()


class Message(BaseModel):
    """One turn of a conversation; ``content`` is its text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(_flattened, json_schema_input_type=str | list[dict[str, Any]])]
    tool_calls: Annotated[None, only([])] = None
    function_call: Null = None
    audio: Null = None
    refusal: Null = None

    def as_turn(self) -> dict[str, str]:
        """The turn as a chat template takes it; ``developer`` is an alias of ``system``."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class ChatBody(GenerationBody):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    stop: Stop = Field(default_factory=list)
    logprobs: Annotated[None, only(False)] = None
    top_logprobs: Annotated[None, only(0)] = None
    tools: Annotated[None, only([])] = None
    tool_choice: Annotated[None, only("none")] = None
    functions: Annotated[None, only([])] = None
    function_call: Annotated[None, only("none")] = None
    response_format: Annotated[None, only({"type": "text"})] = None
    modalities: Annotated[None, only(["text"])] = None
    audio: Null = None
    prediction: Null = None
    verbosity: Null = None
    web_search_options: Null = None

    def ignored(self) -> Iterator[str]:
        yield from super().ignored()
        for index, message in enumerate(self.messages):
            yield from (f"messages[{index}].{name}" for name in message.model_extra or ())


class CompletionBody(GenerationBody):
    """``POST /v1/completions``; with ``suffix`` the answer is what stands between prompt and suffix."""

    prompt: Annotated[str | list[int], PlainValidator(_one_prompt, json_schema_input_type=str | list[str] | list[int])]
    suffix: Text | None = None
    max_tokens: PositiveInt | None = None
    stop: Stop = Field(default_factory=list)
    echo: Annotated[None, only(False)] = None
    best_of: Annotated[None, only(1)] = None
    logprobs: Null = None


class InfillBody(GenerationBody):
    """``POST /v1/infill``: the text of ``template`` is pinned and each occurrence of ``hole`` is filled."""

    template: Text
    hole: Annotated[Text, Field(min_length=1)] = "{{hole}}"
    hole_tokens: Annotated[int | list[int], PlainValidator(_one_or_many, json_schema_input_type=int | list[int])] = 16
    stop: Annotated[None, only([])] = None
    max_tokens: Null = None


class ErrorDetail(BaseModel):
    """What was wrong; ``param`` is the field at fault."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
    request_id: str
