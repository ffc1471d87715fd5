"""The vocabulary of the engine: what is asked of it, and the events by which it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dllm_worker.spec import ContextAttention

Algorithm = Literal[
    "low_confidence",
    "low_entropy",
    "topk_margin",
    "maskgit_plus",
    "random",
    "ancestral",
    "leftmost",
    "confidence_threshold",
    "capped_threshold",
    "quota_threshold",
    "factor",
    "entropy_bound",
    "entropy_sum",
    "joint_threshold",
    "renoise",
    "pipelined",
    "linear_speculation",
    "autoregressive",
]
Schedule = Literal["linear", "cosine", "dream", "even", "rounded"]
CacheKind = Literal["none", "prefix", "dual", "vicinity"]
EndOfSequence = Literal["prefix", "canvas", "ignore"]
FinishReason = Literal["stop", "length", "deadline", "abort"]


class RequestError(ValueError):
    """The model cannot run this request. ``parameter`` names the offending field."""

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """How a canvas is denoised. Every field may differ between the rows of one batch.

    ``max_steps`` bounds the denoising steps of one canvas (``None``: as many as it has masks) and ``schedule`` says
    how many positions each step owes; with ``quota`` every step owes that many. ``threshold`` and
    ``editing_threshold`` are probabilities, ``factor`` is that of Fast-dLLM, ``entropy_bound`` and ``entropy_exit``
    are in nats. ``max_post_steps`` bounds the steps that only edit, after the last mask.

    Early exits: a canvas whose mean entropy over its masked positions falls below ``entropy_exit`` is filled at once;
    so is one whose mean gap between the two best logits passes ``gap_exit`` (scaled by how far the canvas is).
    With ``leftmost_eos`` an end-of-sequence token is accepted only where no mask precedes it; ``eos`` says when one
    ends the request: as soon as no mask precedes it, after its canvas, or never.

    ``renoise`` heats from ``t_max`` down to ``t_min`` and settles a canvas whose best tokens have not changed for
    ``stability`` steps and whose mean entropy is below ``entropy_exit``. ``pipelined`` opens a canvas when the last
    one is ``open_share`` settled and forces one from ``force_share`` of the one before. ``guidance`` is the scale of
    classifier-free guidance, 0 for none.
    """

    algorithm: Algorithm = "confidence_threshold"
    max_steps: int | None = None
    schedule: Schedule = "linear"
    quota: int | None = None
    threshold: float = 0.9
    editing_threshold: float = 0.9
    max_post_steps: int = 16
    factor: float = 1.0
    entropy_bound: float = 0.1
    entropy_exit: float | None = None
    gap_exit: float | None = None
    stability: int = 1
    t_min: float = 0.4
    t_max: float = 0.8
    open_share: float = 0.1
    force_share: float = 0.95
    guidance: float = 0.0
    leftmost_eos: bool = False
    eos: EndOfSequence = "prefix"
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CacheParameters:
    """How a model without an exact cache reuses keys and values within a canvas.

    ``prefix`` keeps those before the canvas, ``dual`` also those after it, ``vicinity`` all but ``before`` positions
    ahead of the canvas and ``after`` behind it. Everything is computed anew at the start of a canvas and, unless
    ``refresh_every`` is ``None``, after that many steps.
    """

    kind: CacheKind = "none"
    refresh_every: int | None = None
    before: int = 16
    after: int = 16


@dataclass(frozen=True, slots=True)
class Request:
    """Continue ``prompt`` by up to ``max_tokens`` tokens, or fill the holes of ``template``.

    A template follows the prompt; ``None`` marks a hole of one position and every other entry is pinned. It is
    denoised as one canvas, ``max_tokens`` does not apply to it, and an end-of-sequence token ends its hole only.

    ``context_attention`` chooses among those that the model was trained for. ``cache_salt`` separates the prefixes
    that requests may share: only equal salts do. Larger ``priority`` goes first, and among equals the earlier
    ``deadline``, in seconds of the engine's clock.

    With ``logprobs`` every committed token comes with its log-probability, and with those of that many of the best
    tokens in its place. ``prediction`` are the tokens of an answer that is thought likely: they save steps where the
    model agrees with them.
    """

    id: str
    prompt: tuple[int, ...] = ()
    template: tuple[int | None, ...] | None = None
    max_tokens: int = 0
    canvas_length: int | None = None
    context_attention: ContextAttention | None = None
    sampling: SamplingParameters = field(default_factory=SamplingParameters)
    cache: CacheParameters = field(default_factory=CacheParameters)
    cache_salt: str = ""
    priority: int = 0
    deadline: float | None = None
    drafts: bool = False
    logprobs: int | None = None
    prediction: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Work done for one request. A *position-forward* is one position through one forward pass.

    Tokens of the answer that stand where the request's prediction has the same token, or another one, are
    ``accepted_prediction_tokens`` and ``rejected_prediction_tokens``.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    canvases: int = 0
    denoising_steps: int = 0
    prefill_forwards: int = 0
    commit_forwards: int = 0
    position_forwards: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0

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
class TokenLogprobs:
    """What the model gave a token in the step that set it, and ``(token, log-probability)`` of the ``top`` ones there.

    Natural logarithms under the distribution of the model's logits, guidance included, over all tokens that it may
    propose, before temperature, top-k and top-p. The best comes first, of equals the lowest id.
    """

    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """Final tokens that follow everything committed before. ``start`` counts from the end of the prompt.

    ``usage`` is what the request has used so far, for those who stop listening before its ``Finish``. ``logprobs``
    has an entry for each token where the request asks for it; a token that was not predicted has none: one that a
    template pins, or that fills up a hole behind its end.
    """

    request_id: str
    canvas: int
    step: int
    start: int
    tokens: tuple[int, ...]
    usage: Usage = Usage()
    logprobs: tuple[TokenLogprobs | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The last event of a request."""

    request_id: str
    reason: FinishReason
    usage: Usage


Event = Draft | Commit | Finish
