"""Whether a model can run a request; what it cannot run is refused by name before any work is done. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from dllm_worker import ranges
from dllm_worker.canvas import attention_of, first_start, last_start, total_length
from dllm_worker.capabilities import (
    ALGORITHMS,
    PREDICTION,
    SCHEDULES,
    WHOLE_ANSWER,
    CapabilityError,
    caches,
    capabilities,
    refusal,
)
from dllm_worker.request import EndOfSequence, Request, RequestError, SamplingParameters
from dllm_worker.spec import ModelSpec

ENDS: tuple[EndOfSequence, ...] = get_args(EndOfSequence)


def validate(request: Request, spec: ModelSpec) -> None:
    """Raise :class:`RequestError` naming the first parameter that ``spec`` does not allow.

    It is a :class:`CapabilityError` where the parameter asks for what the model or the algorithm does not have.
    """
    _validate_sampling(request.sampling)
    _validate_algorithm(request, spec)
    _validate_attention(request, spec)
    _validate_cache(request, spec)
    _validate_tokens(request, spec)
    _validate_range("logprobs", request.logprobs, ranges.LOGPROBS)
    _validate_prediction(request, spec)
    if request.template is None and request.max_tokens < 1:
        raise RequestError(f"max_tokens is {request.max_tokens}; it must be at least 1", "max_tokens")
    if request.template is not None and None not in request.template:
        raise RequestError("the template has no hole to fill", "template")
    total = total_length(request)
    if total > spec.max_position:
        raise RequestError(
            f"prompt and answer take {total} positions; the model's context has {spec.max_position}", "max_tokens"
        )
    _validate_canvas(request, spec)


def _validate_algorithm(request: Request, spec: ModelSpec) -> None:
    sampling = request.sampling
    reason = refusal(sampling.algorithm, spec)
    if reason is not None:
        raise CapabilityError(f"{reason}; it runs {', '.join(capabilities(spec).algorithms)}", "algorithm")
    if request.template is not None and sampling.algorithm in WHOLE_ANSWER:
        raise CapabilityError(f"{sampling.algorithm} writes from left to right and cannot fill a template", "algorithm")
    if sampling.algorithm == "autoregressive" and request.canvas_length not in (None, 1):
        raise CapabilityError("an autoregressive canvas has one position", "canvas_length")
    if not request.prompt and sampling.algorithm in ("autoregressive", "linear_speculation") and spec.next_token:
        raise RequestError(f"{sampling.algorithm} continues a prompt; this one is empty", "prompt")
    if spec.corruption == "uniform" and sampling.temperature:
        raise CapabilityError("a model of uniform corruption is heated by t_min and t_max", "temperature")
    if spec.corruption == "uniform" and sampling.guidance:
        raise CapabilityError("guidance hides the prompt behind masks, which this model does not know", "guidance")
    if sampling.guidance and sampling.algorithm == "linear_speculation":
        raise CapabilityError("linear_speculation checks its draft without guidance", "guidance")


def _validate_prediction(request: Request, spec: ModelSpec) -> None:
    if not request.prediction:
        return
    if request.template is not None:
        raise CapabilityError("a template is filled without a prediction", "prediction")
    if request.sampling.algorithm not in PREDICTION:
        able = ", ".join(capabilities(spec).prediction)
        raise CapabilityError(f"{request.sampling.algorithm} makes no use of a prediction; {able} do", "prediction")
    if len(request.prediction) > spec.max_position:
        raise RequestError(
            f"the prediction has {len(request.prediction)} tokens; the model's context has {spec.max_position}",
            "prediction",
        )


def _validate_attention(request: Request, spec: ModelSpec) -> None:
    allowed, algorithm = (spec.context_attention, *spec.other_attentions), request.sampling.algorithm
    if request.context_attention not in (None, *allowed):
        raise CapabilityError(
            f"the model's context attention is {' or '.join(allowed)}, not {request.context_attention}",
            "context_attention",
        )
    attention = attention_of(request, spec)
    if request.context_attention not in (None, attention):
        raise CapabilityError(f"the context attention of {algorithm} is {attention}", "context_attention")
    if algorithm == "pipelined" and attention != "block_causal":
        raise CapabilityError(f"pipelined canvases need block_causal attention, not {attention}", "context_attention")


def _validate_cache(request: Request, spec: ModelSpec) -> None:
    cache = request.cache
    kinds = caches(spec, attention_of(request, spec), template=request.template is not None)
    if cache.kind not in kinds:
        raise CapabilityError(f"this request's cache is one of {', '.join(kinds)}, not {cache.kind}", "cache")
    for name, allowed in ranges.CACHE.items():
        _validate_range(name, getattr(cache, name), allowed)


def _validate_canvas(request: Request, spec: ModelSpec) -> None:
    length = request.canvas_length
    if length is not None and not 1 <= length <= spec.max_canvas_length:
        raise RequestError(f"canvas_length {length} is outside 1..{spec.max_canvas_length}", "canvas_length")
    if request.template is not None and length is not None and attention_of(request, spec) == "bidirectional":
        raise RequestError("a template is one canvas of this model; its length is fixed", "canvas_length")
    if first_start(request, spec) == last_start(request, spec):
        longest = total_length(request) - first_start(request, spec)
        if longest > spec.max_canvas_length:
            parameter = "max_tokens" if request.template is None else "template"
            raise RequestError(
                f"the answer needs a canvas of {longest} positions; the largest is {spec.max_canvas_length}", parameter
            )


def _validate_tokens(request: Request, spec: ModelSpec) -> None:
    given = (("prompt", request.prompt), ("template", request.template or ()), ("prediction", request.prediction))
    for name, tokens in given:
        outside = next((token for token in tokens if token is not None and not 0 <= token < spec.vocab_size), None)
        if outside is not None:
            raise RequestError(f"token id {outside} is outside the vocabulary of {spec.vocab_size}", name)


def _validate_sampling(sampling: SamplingParameters) -> None:
    if sampling.algorithm not in ALGORITHMS:
        raise RequestError(f"algorithm {sampling.algorithm!r} is unknown; there are {_names(ALGORITHMS)}", "algorithm")
    if sampling.schedule not in SCHEDULES:
        raise RequestError(f"schedule {sampling.schedule!r} is unknown; there are {_names(SCHEDULES)}", "schedule")
    if sampling.eos not in ENDS:
        raise RequestError(f"eos {sampling.eos!r} is unknown; there are {_names(ENDS)}", "eos")
    for name, allowed in ranges.SAMPLING.items():
        _validate_range(name, getattr(sampling, name), allowed)
    if sampling.t_min > sampling.t_max:
        raise RequestError(f"t_min {sampling.t_min} is above t_max {sampling.t_max}", "t_min")


def _validate_range(name: str, value: float | None, allowed: ranges.Range) -> None:
    if value is not None and not allowed.holds(value):
        raise RequestError(f"{name} {value} is out of range; it has to be {allowed}", name)


def _names(registry: Iterable[str]) -> str:
    return ", ".join(sorted(registry))
