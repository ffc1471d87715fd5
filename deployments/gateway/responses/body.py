"""The body of ``POST /v1/responses``, which asks for a chat answer in other words.

What it asks for is planned as that chat answer, so that both mean the same by the same field. A stateful conversation,
tools and formats are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from deployments.errors import InvalidRequest
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
    Text,
    example,
    only,
    within,
)
from deployments.gateway.schema import ChatBody, Diffusion, Message, ResponseFormat
from dllm_worker import ranges

TEXT_PARTS = ("input_text", "output_text")
IN_CHAT = {
    "input": "messages",
    "max_output_tokens": "max_completion_tokens",
    "reasoning.effort": "reasoning_effort",
}
"""What a chat answer calls these fields."""

IN_RESPONSES = {chat: here for here, chat in IN_CHAT.items()}


def _joined(content: object) -> object:
    """The text of a content that may be a list of parts."""
    if not isinstance(content, list):
        return content
    if not all(isinstance(part, dict) and part.get("type") in TEXT_PARTS for part in content):
        raise PydanticCustomError(UNSUPPORTED, "only parts of type 'input_text' and 'output_text' are supported")
    texts = [part.get("text") for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("text_part", "each text part needs a string 'text'")
    return "".join(texts)


def _messages(items: object) -> object:
    """The items of an input, which is a list of them or the text of the only one."""
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    if isinstance(items, list) and any(
        isinstance(item, dict) and item.get("type", "message") != "message" for item in items
    ):
        raise PydanticCustomError(UNSUPPORTED, "only items of type 'message' are supported")
    return items


class InputMessage(BaseModel):
    """One turn of the conversation; ``content`` is its text."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[Text, BeforeValidator(_joined, json_schema_input_type=str | list[dict[str, Any]])]


class Reasoning(Options):
    """How much work the answer is worth."""

    effort: Effort | None = None
    summary: Null = None
    generate_summary: Null = None
    context: Annotated[None, only("auto")] = None
    mode: Annotated[None, only("standard")] = None


class TextOptions(Options):
    """The form of the text."""

    format: ResponseFormat | None = None
    verbosity: Annotated[None, only("medium")] = None


class EventOptions(Options):
    """What else a stream should carry."""

    include_obfuscation: Annotated[None, only(False)] = None


class ResponsesBody(BaseModel):
    """``POST /v1/responses``; ``input`` is a text or a list of messages. What is not stored cannot be read again."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="allow", allow_inf_nan=False, **example(input="Write a Python function.")
    )

    model: ModelName
    input: Annotated[
        list[InputMessage],
        Field(min_length=1, fail_fast=True),
        BeforeValidator(_messages, json_schema_input_type=str | list[InputMessage]),
    ]
    instructions: Text | None = None
    max_output_tokens: PositiveInt | None = None
    temperature: Annotated[float, within(ranges.SAMPLING["temperature"])] | None = None
    top_p: Annotated[float, within(ranges.SAMPLING["top_p"])] | None = None
    seed: Annotated[int, within(ranges.SAMPLING["seed"])] | None = None
    reasoning: Reasoning | None = None
    background: bool | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: EventOptions | None = None
    diffusion: Diffusion | None = None
    user: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = None
    metadata: Metadata | None = None
    text: TextOptions | None = None
    service_tier: ServiceTier | None = None
    previous_response_id: Null = None
    conversation: Null = None
    context_management: Null = None
    prompt: Null = None
    tools: Annotated[None, only([])] = None
    tool_choice: Annotated[None, only("auto", "none")] = None
    parallel_tool_calls: Annotated[None, only(True, False)] = None
    max_tool_calls: Null = None
    include: Annotated[None, only([])] = None
    truncation: Annotated[None, only("disabled")] = None
    top_logprobs: Annotated[None, only(0)] = None
    prompt_cache_retention: Annotated[None, only("in_memory")] = None
    prompt_cache_options: Null = None
    background_options: Null = None
    moderation: Null = None
    image: Null = None
    access_programs: Null = None

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    def ignored(self) -> Iterator[str]:
        """The names of the fields that were sent and are not known."""
        yield from self.model_extra or ()
        for index, message in enumerate(self.input):
            yield from (f"input[{index}].{name}" for name in message.model_extra or ())

    def as_chat(self) -> ChatBody:
        """The chat answer that is asked for."""
        instructions = [] if self.instructions is None else [Message(role="system", content=self.instructions)]
        return ChatBody(
            model=self.model,
            messages=[*instructions, *(Message(role=turn.role, content=turn.content) for turn in self.input)],
            max_completion_tokens=self.max_output_tokens,
            reasoning_effort=None if self.reasoning is None else self.reasoning.effort,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed,
            service_tier=self.service_tier,
            stream=self.stream,
            diffusion=self.diffusion,
            user=self.user,
            safety_identifier=self.safety_identifier,
            prompt_cache_key=self.prompt_cache_key,
            metadata=self.metadata,
        )


@contextmanager
def told_of_responses() -> Iterator[None]:
    """Names the fields of a refused chat answer as :class:`ResponsesBody` has them."""
    try:
        yield
    except InvalidRequest as error:
        error.parameter = IN_RESPONSES.get(error.parameter or "", error.parameter)
        raise
