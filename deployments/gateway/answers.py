"""The bodies of successful answers, for those who read ``openapi.json``. They are written elsewhere, as these say."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.json_schema import SkipJsonSchema

FinishReason = Literal["stop", "length"]
ServedTier = Literal["default", "flex", "priority"]
Json = dict[str, JsonValue]


class Exact(BaseModel):
    """An object with these members and no others."""

    model_config = ConfigDict(extra="forbid")


class CachedTokens(Exact):
    """What was known of the prompt."""

    cached_tokens: int


class PredictedTokens(Exact):
    """How a prediction fared."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class DiffusionWork(Exact):
    """The work behind an answer, by the engine's account."""

    denoising_steps: int
    forward_passes: int
    prefill_forwards: int
    commit_forwards: int
    position_forwards: int
    canvases: int
    tokens_per_forward: float


class Used(Exact):
    """Tokens and work."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens
    completion_tokens_details: PredictedTokens | SkipJsonSchema[None] = None
    diffusion: DiffusionWork


class CutShort(Exact):
    """There when a deadline ended the answer."""

    finish: Literal["deadline"]


class Answer(Exact):
    """What all answers begin and end with."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    service_tier: ServedTier
    usage: Used
    diffusion: CutShort | SkipJsonSchema[None] = None


class ProbableToken(Exact):
    """A token and the logarithm of its probability in the step that committed it."""

    token: str
    logprob: float
    bytes: list[int] | None


class CommittedToken(ProbableToken):
    """A token of the answer."""

    top_logprobs: list[ProbableToken]


class ChatLogprobs(Exact):
    """One entry a token."""

    content: list[CommittedToken]
    refusal: None


class AnswerMessage(Exact):
    """The turn of the model."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Exact):
    """One answer to a conversation."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatAnswer(Answer):
    """``POST /v1/chat/completions``."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class CompletionLogprobs(Exact):
    """Lists of one length."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class CompletionChoice(Exact):
    """One continuation of a prompt."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason


class CompletionAnswer(Answer):
    """``POST /v1/completions``."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]


class InfillAnswer(Answer):
    """``POST /v1/infill``: the whole text, and what was filled into each hole."""

    object: Literal["infill"]
    text: str
    holes: list[str]
    finish_reason: FinishReason


class ResponseAnswer(BaseModel):
    """A response of the Responses API; without ``usage`` as long as it has not ended."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    error: Json | None
    incomplete_details: Json | None
    metadata: dict[str, str]
    model: str
    output: list[Json]
    service_tier: ServedTier
    store: bool
    usage: Json | None


class Deleted(Exact):
    """The response is forgotten."""

    id: str
    object: Literal["response"]
    deleted: Literal[True]


class RequestAnswer(Exact):
    """What is known of a request; times are in Unix seconds."""

    id: str
    object: Literal["request"]
    model: str
    endpoint: str
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    parameters: Json
    committed_tokens: list[int]
    finish_reason: str | None
    usage: Json | None
    error_code: str | None
    created_at: float
    updated_at: float


class ModelAnswer(Exact):
    """A model; ``dllm`` holds the capabilities that requests are checked against."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    dllm: Json


class ModelList(Exact):
    """The models that the key opens."""

    object: Literal["list"]
    data: list[ModelAnswer]


class UsageAnswer(Exact):
    """Sums by day and model, and over all of them."""

    object: Literal["list"]
    start: str
    end: str
    data: list[dict[str, Any]]
    total: dict[str, int]
