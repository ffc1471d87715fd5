"""The vocabulary of the engine: what is asked of it, and the events by which it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["low_confidence", "random", "confidence_threshold", "entropy_bound"]
Schedule = Literal["linear", "cosine"]
FinishReason = Literal["stop", "length", "abort"]


class RequestError(ValueError):
    """The model cannot run this request. ``parameter`` names the offending field."""

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How a canvas is denoised. Every field may differ between the rows of one batch.

    ``max_steps`` bounds the denoising steps of one canvas (``None``: as many as it has masks) and ``schedule`` says
    what share is still masked after step ``t`` of ``T``: ``linear`` ``1 - t/T`` or ``cosine`` ``cos(pi t / 2T)``.
    ``threshold`` is a probability; ``entropy_bound`` and ``entropy_exit`` are in nats. A canvas whose mean entropy over
    its masked positions falls below ``entropy_exit`` is filled at once. With ``leftmost_eos`` an end-of-sequence token
    is accepted only where no mask precedes it.
    """

    algorithm: Algorithm = "confidence_threshold"
    max_steps: int | None = None
    schedule: Schedule = "linear"
    threshold: float = 0.9
    entropy_bound: float = 0.1
    entropy_exit: float | None = None
    leftmost_eos: bool = False
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Continue ``prompt`` by up to ``max_tokens`` tokens, or fill the holes of ``template``.

    A template follows the prompt; ``None`` marks a hole of one position and every other entry is pinned. It is
    denoised as one canvas, ``max_tokens`` does not apply to it, and an end-of-sequence token ends its hole only.
    """

    id: str
    prompt: tuple[int, ...] = ()
    template: tuple[int | None, ...] | None = None
    max_tokens: int = 0
    canvas_length: int | None = None
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    drafts: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Work done for one request. A *position-forward* is one position through one forward pass."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    canvases: int = 0
    denoising_steps: int = 0
    prefill_forwards: int = 0
    commit_forwards: int = 0
    position_forwards: int = 0

    @property
    def forward_passes(self) -> int:
        return self.prefill_forwards + self.denoising_steps + self.commit_forwards

    @property
    def tokens_per_forward(self) -> float:
        return self.completion_tokens / self.forward_passes if self.forward_passes else 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """The canvas after a step, for those who watch it. ``tokens`` holds the mask id where nothing is accepted."""

    request_id: str
    canvas: int
    step: int
    start: int
    tokens: tuple[int, ...]
    masked: int


@dataclass(frozen=True, slots=True)
class Commit:
    """Final tokens that follow everything committed before. ``start`` counts from the end of the prompt.

    ``usage`` is what the request has used so far, for those who stop listening before its ``Finish``.
    """

    request_id: str
    canvas: int
    step: int
    start: int
    tokens: tuple[int, ...]
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a request."""

    request_id: str
    reason: FinishReason
    usage: Usage


Event = Draft | Commit | Finish
