"""Whether a model can run a request; what it cannot run is refused by name before any work is done."""

from __future__ import annotations

from dllm_worker.canvas import first_start, last_start, total_length
from dllm_worker.request import Request, RequestError, SamplingParameters
from dllm_worker.sampling.samplers import SAMPLERS
from dllm_worker.sampling.schedule import MASKS_LEFT
from dllm_worker.spec import ModelSpec


def validate(request: Request, spec: ModelSpec) -> None:
    """Raise :class:`RequestError` naming the first parameter that ``spec`` does not allow."""
    _validate_sampling(request.sampling)
    _validate_tokens(request, spec)
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


def _validate_canvas(request: Request, spec: ModelSpec) -> None:
    length = request.canvas_length
    if length is not None and spec.context_attention == "bidirectional":
        raise RequestError(
            "prompt and answer are one canvas of this model; its length cannot be chosen", "canvas_length"
        )
    if length is not None and not 1 <= length <= spec.max_canvas_length:
        raise RequestError(f"canvas_length {length} is outside 1..{spec.max_canvas_length}", "canvas_length")
    if first_start(request, spec) == last_start(request, spec):
        longest = total_length(request) - first_start(request, spec)
        if longest > spec.max_canvas_length:
            parameter = "max_tokens" if request.template is None else "template"
            raise RequestError(
                f"the answer needs a canvas of {longest} positions; the largest is {spec.max_canvas_length}", parameter
            )


def _validate_tokens(request: Request, spec: ModelSpec) -> None:
    for name, tokens in (("prompt", request.prompt), ("template", request.template or ())):
        outside = next((token for token in tokens if token is not None and not 0 <= token < spec.vocab_size), None)
        if outside is not None:
            raise RequestError(f"token id {outside} is outside the vocabulary of {spec.vocab_size}", name)


def _validate_sampling(sampling: SamplingParameters) -> None:
    if sampling.algorithm not in SAMPLERS:
        known = ", ".join(sorted(SAMPLERS))
        raise RequestError(f"algorithm {sampling.algorithm!r} is unknown; this model runs {known}", "algorithm")
    if sampling.schedule not in MASKS_LEFT:
        known = ", ".join(sorted(MASKS_LEFT))
        raise RequestError(f"schedule {sampling.schedule!r} is unknown; there are {known}", "schedule")
    ranges = {
        "max_steps": sampling.max_steps is None or sampling.max_steps >= 1,
        "threshold": 0.0 < sampling.threshold <= 1.0,
        "entropy_bound": sampling.entropy_bound >= 0.0,
        "entropy_exit": sampling.entropy_exit is None or sampling.entropy_exit >= 0.0,
        "temperature": 0.0 <= sampling.temperature <= 2.0,
        "top_p": 0.0 < sampling.top_p <= 1.0,
        "top_k": sampling.top_k >= 0,
        "seed": -(2**63) <= sampling.seed < 2**63,
    }
    for name, holds in ranges.items():
        if not holds:
            raise RequestError(f"{name} {getattr(sampling, name)} is out of range", name)
