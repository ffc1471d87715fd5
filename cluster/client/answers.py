"""What the tenant's endpoints answer. Members that this version does not know are kept as they came."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Answer(Part):
    """A whole answer. ``request_id`` is what to quote; ``degraded`` names what the service did with less than usual."""

    request_id: str | None = None
    degraded: str | None = None


class DenoisingWork(Part):
    """The engine's account of an answer. A position-forward is one position through one forward pass."""

    denoising_steps: int
    forward_passes: int
    position_forwards: int
    canvases: int
    prefill_forwards: int = 0
    commit_forwards: int = 0
    tokens_per_forward: float = 0.0


class PromptTokens(Part):
    """``cached_tokens`` had been encoded for earlier requests."""

    cached_tokens: int = 0


class Usage(Part):
    """What an answer cost."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens = PromptTokens()
    diffusion: DenoisingWork


class Message(Part):
    """One turn of a conversation."""

    role: str
    content: str


class ChatChoice(Part):
    """One answer to a conversation."""

    index: int
    message: Message
    finish_reason: str
    logprobs: Any = None


class ChatCompletion(Answer):
    """``POST /v1/chat/completions``."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[ChatChoice, ...]
    usage: Usage

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].message.content


class CompletionChoice(Part):
    """One continuation of a prompt."""

    index: int
    text: str
    finish_reason: str
    logprobs: Any = None


class Completion(Answer):
    """``POST /v1/completions``."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    choices: tuple[CompletionChoice, ...]
    usage: Usage

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text


class Infill(Answer):
    """``POST /v1/infill``: the whole ``text``, and what its ``holes`` were filled with."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    text: str
    holes: tuple[str, ...]
    finish_reason: str
    usage: Usage


class Model(Answer):
    """A served model; ``dllm`` says what it can do."""

    id: str
    created: int
    dllm: dict[str, Any]


class ModelList(Answer):
    """``GET /v1/models``."""

    data: tuple[Model, ...]


class RequestRecord(Answer):
    """What is known of a request that was accepted. Times are in Unix seconds, ``committed_tokens`` are ids."""

    id: str
    model: str
    endpoint: str
    status: str
    committed_tokens: tuple[int, ...]
    finish_reason: str | None = None
    usage: Usage | None = None
    error_code: str | None = None
    created_at: float
    updated_at: float


class UsageRow(Part):
    """The sum of a tenant's answers of one UTC day (``YYYY-MM-DD``) and one model; ``work`` is in work units."""

    day: str
    model: str
    tenant: str | None = None
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    denoising_steps: int = 0
    forward_passes: int = 0
    position_forwards: int = 0
    work: int = 0


class UsageReport(Answer):
    """``GET /v1/usage``."""

    data: tuple[UsageRow, ...]
