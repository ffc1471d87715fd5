"""What a model can run and what each algorithm reads: one source for the engine, the API's refusals and its list of
models. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from dllm_worker.request import Algorithm, CacheKind, RequestError, Schedule
from dllm_worker.spec import ContextAttention, ModelSpec

ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
CACHES: tuple[CacheKind, ...] = get_args(CacheKind)

WHOLE_ANSWER: frozenset[Algorithm] = frozenset({"autoregressive", "linear_speculation", "pipelined"})
"""Algorithms that need an open end; a template has none."""

QUOTA_RULES: frozenset[Algorithm] = frozenset(
    {"low_confidence", "low_entropy", "topk_margin", "maskgit_plus", "random", "leftmost"}
)
"""Algorithms that accept their quota and nothing else."""

ALWAYS = frozenset({"algorithm", "eos", "guidance", "top_p", "top_k", "seed"})
EXITS = frozenset({"entropy_exit", "gap_exit", "leftmost_eos"})
MASKED = ALWAYS | EXITS | {"temperature"}
SCHEDULED = MASKED | {"max_steps", "schedule", "quota"}

READS: Mapping[Algorithm, frozenset[str]] = {
    "low_confidence": SCHEDULED,
    "low_entropy": SCHEDULED,
    "topk_margin": SCHEDULED,
    "maskgit_plus": SCHEDULED,
    "random": SCHEDULED,
    "ancestral": MASKED | {"max_steps"},
    "leftmost": SCHEDULED,
    "confidence_threshold": SCHEDULED | {"threshold"},
    "capped_threshold": SCHEDULED | {"threshold"},
    "quota_threshold": SCHEDULED | {"threshold"},
    "factor": SCHEDULED | {"factor"},
    "entropy_bound": SCHEDULED | {"entropy_bound"},
    "entropy_sum": SCHEDULED | {"entropy_bound"},
    "joint_threshold": SCHEDULED | {"threshold", "editing_threshold", "max_post_steps"},
    "renoise": ALWAYS | {"max_steps", "entropy_bound", "entropy_exit", "stability", "t_min", "t_max"},
    "pipelined": MASKED | {"threshold", "open_share", "force_share"},
    "linear_speculation": SCHEDULED | {"threshold"},
    "autoregressive": ALWAYS | {"temperature"},
}
"""The fields of ``SamplingParameters`` that matter to an algorithm; every other one changes nothing."""

CACHE_READS: Mapping[CacheKind, frozenset[str]] = {
    "none": frozenset({"kind"}),
    "prefix": frozenset({"kind", "refresh_every"}),
    "dual": frozenset({"kind", "refresh_every"}),
    "vicinity": frozenset({"kind", "refresh_every", "before", "after"}),
}
"""The same for the fields of ``CacheParameters``, where all positions see each other."""


PredictionUse = Literal["agreement", "start", "draft"]
"""What a predicted answer is to an algorithm: positions that come to agree with it are accepted, canvases start from
it, or it is a draft that is checked."""

PREDICTION: Mapping[Algorithm, PredictionUse] = {
    "low_confidence": "agreement",
    "low_entropy": "agreement",
    "topk_margin": "agreement",
    "maskgit_plus": "agreement",
    "confidence_threshold": "agreement",
    "capped_threshold": "agreement",
    "quota_threshold": "agreement",
    "factor": "agreement",
    "entropy_bound": "agreement",
    "entropy_sum": "agreement",
    "pipelined": "agreement",
    "joint_threshold": "start",
    "renoise": "start",
    "linear_speculation": "draft",
}
"""Algorithms that make use of a prediction. Those in random order accept by chance, and those from left to right one
position after the other, whatever is predicted."""


class CapabilityError(RequestError):
    """The model, or the algorithm asked for, does not have what ``parameter`` asks for."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What requests to a model may ask for. ``caches`` are the kinds by context attention, the model's own first;
    ``prediction`` are the algorithms that make use of one.
    """

    algorithms: tuple[Algorithm, ...]
    schedules: tuple[Schedule, ...]
    caches: Mapping[ContextAttention, tuple[CacheKind, ...]]
    infill: bool
    guidance: bool
    prediction: tuple[Algorithm, ...]

    @property
    def context_attentions(self) -> tuple[ContextAttention, ...]:
        return tuple(self.caches)


def capabilities(spec: ModelSpec) -> Capabilities:
    """Those of a model of ``spec``."""
    algorithms = tuple(name for name in ALGORITHMS if refusal(name, spec) is None)
    return Capabilities(
        algorithms=algorithms,
        schedules=tuple(name for name in SCHEDULES if any("schedule" in READS[algorithm] for algorithm in algorithms)),
        caches={attention: caches(spec, attention) for attention in (spec.context_attention, *spec.other_attentions)},
        infill=any(name not in WHOLE_ANSWER for name in algorithms),
        guidance=spec.corruption == "absorbing",
        prediction=tuple(name for name in algorithms if name in PREDICTION),
    )


def caches(spec: ModelSpec, attention: ContextAttention, *, template: bool = False) -> tuple[CacheKind, ...]:
    """How keys and values may be reused within a canvas; ``template`` says that a request fills one."""
    if attention == "bidirectional":
        return CACHES
    divided = spec.sub_canvas_length is not None and not template
    return ("none", "dual") if divided else ("none",)


def reads(algorithm: Algorithm, *, template: bool = False) -> frozenset[str]:
    """The fields of ``SamplingParameters`` that matter; in a ``template`` an end of sequence ends its hole only."""
    return READS[algorithm] - {"eos"} if template else READS[algorithm]


def cache_reads(kind: CacheKind, attention: ContextAttention) -> frozenset[str]:
    """The fields of ``CacheParameters`` that matter; a canvas denoised in parts is refreshed part by part."""
    return CACHE_READS[kind] if attention == "bidirectional" else frozenset({"kind"})


def refusal(algorithm: Algorithm, spec: ModelSpec) -> str | None:
    """Why a model of ``spec`` cannot run ``algorithm``; ``None`` where it can."""
    for need, holds in _needs(algorithm, spec).items():
        if not holds:
            return f"algorithm {algorithm!r} needs {need}, which model family {spec.family!r} does not have"
    return None


def _needs(algorithm: Algorithm, spec: ModelSpec) -> dict[str, bool]:
    causal = "causal" in (spec.context_attention, *spec.other_attentions)
    if algorithm == "renoise":
        return {"uniform corruption": spec.corruption == "uniform"}
    masks = {"a mask token": spec.corruption == "absorbing"}
    if algorithm == "joint_threshold":
        return masks | {"unshifted logits": spec.logit_shift == 0}
    if algorithm == "pipelined":
        return masks | {
            "block-causal attention": spec.context_attention == "block_causal",
            "unshifted logits": spec.logit_shift == 0,
            "canvases that open without a predicted token": not spec.next_token,
        }
    if algorithm == "autoregressive":
        return masks | {"causal attention": causal}
    if algorithm == "linear_speculation":
        return masks | {"causal attention": causal, "prediction of the next token": spec.next_token}
    return masks
