"""The bodies that clients send.

Each field of the OpenAI API which is known here is either honoured or declared with ``only``, which accepts the values
that change nothing and refuses every other by name. A field that is not known is accepted and reported in the answer's
``x-dllm-ignored-params`` header, or refused where that is wanted; inside ``diffusion`` it is always refused. Numbers
have the engine's own ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from deployments.gateway.bands import ServiceTier
from deployments.gateway.effort import Effort
from deployments.gateway.fields import (
    UNSUPPORTED,
    Label,
    Metadata,
    ModelName,
    Null,
    Options,
    PositiveInt,
    Stop,
    Text,
    example,
    flattened,
    one_or_many,
    one_prompt,
    only,
    within,
)
from dllm_worker import ranges
from dllm_worker.request import Algorithm, CacheKind, EndOfSequence, Schedule
from dllm_worker.spec import ContextAttention

MOST_CHOICES = 16
CanvasFormat = Literal["patch", "snapshot"]


class StreamOptions(Options):
    """What else a stream should carry."""

    include_usage: bool = False
    include_obfuscation: Annotated[None, only(False)] = None


class Cache(Options):
    """How keys and values are reused within a canvas by a model that can only do so approximately."""

    kind: CacheKind | None = None
    refresh_every: Annotated[int, within(ranges.CACHE["refresh_every"])] | None = None
    before: Annotated[int, within(ranges.CACHE["before"])] | None = None
    after: Annotated[int, within(ranges.CACHE["after"])] | None = None


class Diffusion(Options):
    """How the canvas is denoised and whether the client watches; what is left out comes from the model."""

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


class ResponseFormat(Options):
    """The form of the answer, which is text."""

    type: Annotated[None, only("text")]


class GenerationBody(BaseModel):
    """What every generating endpoint takes."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow", allow_inf_nan=False)

    model: ModelName
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
    metadata: Metadata | None = None
    service_tier: ServiceTier | None = None
    logit_bias: Annotated[None, only({})] = None
    presence_penalty: Annotated[None, only(0)] = None
    frequency_penalty: Annotated[None, only(0)] = None
    store: Annotated[None, only(False)] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[None, only([])] = None
    tool_choice: Annotated[None, only("none")] = None
    parallel_tool_calls: Annotated[None, only(True, False)] = None
    functions: Annotated[None, only([])] = None
    function_call: Annotated[None, only("none")] = None

    @property
    def choices(self) -> int:
        """How many answers are wanted."""
        return 1

    @property
    def alternatives(self) -> int | None:
        """How many others are told with each token and its log-probability; ``None`` where none is asked for."""
        return None

    @property
    def predicted(self) -> str:
        """The text that the answer is thought to be."""
        return ""

    def ignored(self) -> Iterator[str]:
        """The names of the fields that were sent and are not known."""
        yield from self.model_extra or ()


class Message(BaseModel):
    """One turn of a conversation; ``content`` is its text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Text, BeforeValidator(flattened, json_schema_input_type=str | list[dict[str, Any]])]
    tool_call_id: Text | None = None
    tool_calls: Annotated[None, only([])] = None
    function_call: Null = None
    audio: Null = None
    refusal: Null = None

    def as_turn(self) -> dict[str, str]:
        """The turn as a chat template takes it; ``developer`` is an alias of ``system``."""
        turn = {"role": "system" if self.role == "developer" else self.role, "content": self.content}
        return turn if self.tool_call_id is None else {**turn, "tool_call_id": self.tool_call_id}


class ChoicesBody(GenerationBody):
    """What an endpoint takes whose answer is a list of choices, of which there may be ``n``."""

    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    max_completion_tokens: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    stop: Stop = Field(default_factory=list)

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def length(self) -> tuple[str, int | None]:
        """The parameter that says how long the answer may be, and its value."""
        name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        return name, self.max_completion_tokens or self.max_tokens


class Prediction(Options):
    """An answer that is thought likely, such as a text that is to be changed in a few places."""

    type: Literal["content"]
    content: Annotated[Text, BeforeValidator(flattened, json_schema_input_type=str | list[dict[str, Any]])]


class ChatBody(ChoicesBody):
    """``POST /v1/chat/completions``."""

    model_config = example(messages=[{"role": "user", "content": "Write a Python function that adds two numbers."}])

    messages: Annotated[list[Message], Field(min_length=1, fail_fast=True)]
    logprobs: bool | None = None
    top_logprobs: Annotated[int, within(ranges.LOGPROBS)] | None = None
    modalities: Annotated[None, only(["text"])] = None
    audio: Null = None
    prediction: Prediction | None = None
    verbosity: Null = None
    web_search_options: Null = None

    @field_validator("top_logprobs")
    @classmethod
    def _belong_to_logprobs(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and not info.data.get("logprobs"):
            raise PydanticCustomError("top_logprobs_alone", "only with 'logprobs': true")
        return value

    @property
    def alternatives(self) -> int | None:
        return self.top_logprobs or 0 if self.logprobs else None

    @property
    def predicted(self) -> str:
        return "" if self.prediction is None else self.prediction.content

    def ignored(self) -> Iterator[str]:
        yield from super().ignored()
        for index, message in enumerate(self.messages):
            yield from (f"messages[{index}].{name}" for name in message.model_extra or ())


class CompletionBody(ChoicesBody):
    """``POST /v1/completions``; with ``suffix`` the answer is what stands between prompt and suffix, and with ``echo``
    the prompt stands before it.
    """

    model_config = example(prompt="def mean(values):\n    ", max_tokens=32, stop=["\n\n"])

    prompt: Annotated[str | list[int], PlainValidator(one_prompt, json_schema_input_type=str | list[str] | list[int])]
    suffix: Text | None = None
    echo: bool | None = None
    best_of: int | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    prediction: Null = None

    @property
    def alternatives(self) -> int | None:
        return self.logprobs

    @field_validator("logprobs")
    @classmethod
    def _are_of_the_answer(cls, value: int | None, info: ValidationInfo) -> int | None:
        """The tokens of a prompt were not chosen by the model."""
        if value is not None and info.data.get("echo"):
            raise PydanticCustomError(UNSUPPORTED, "not supported together with echo")
        return value

    @field_validator("best_of")
    @classmethod
    def _all_are_answered(cls, value: int | None, info: ValidationInfo) -> int | None:
        """None is left out of the answer for a better one."""
        if value is not None and value != (info.data.get("n") or 1):
            raise PydanticCustomError(UNSUPPORTED, "not supported; only the value of n is accepted")
        return value


class InfillBody(GenerationBody):
    """``POST /v1/infill``: the text of ``template`` is pinned and each occurrence of ``hole`` is filled."""

    model_config = example(template="def {{hole}}(a, b):\n    return {{hole}}\n", hole_tokens=[4, 8])

    template: Text
    hole: Annotated[Text, Field(min_length=1, max_length=256)] = "{{hole}}"
    hole_tokens: Annotated[int | list[int], PlainValidator(one_or_many, json_schema_input_type=int | list[int])] = 16
    n: Annotated[None, only(1)] = None
    stop: Annotated[None, only([])] = None
    max_tokens: Null = None
    max_completion_tokens: Null = None
    logprobs: Null = None
    prediction: Null = None


class ErrorDetail(BaseModel):
    """What was wrong; ``param`` is the field at fault. Some errors say more, as which limit was reached."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail
    request_id: str
