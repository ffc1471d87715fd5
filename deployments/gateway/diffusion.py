"""The ``diffusion`` object of a request, as parameters of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deployments.errors import InvalidRequest, UnsupportedParameter
from deployments.gateway.schema import CanvasFormat, Diffusion, GenerationBody
from dllm_worker.request import SamplingParameters

if TYPE_CHECKING:
    from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Watch:
    """The client wants to see the canvas: in which form, and one frame per how many steps."""

    format: CanvasFormat
    every: int


def sampling(body: GenerationBody, defaults: SamplingParameters, seed: int) -> SamplingParameters:
    """The model's ``defaults``, replaced where the client chose; ``seed`` is for a client that chose none."""
    asked = body.diffusion or Diffusion()
    chosen = {
        "algorithm": asked.algorithm,
        "schedule": asked.schedule,
        "max_steps": asked.max_steps,
        "threshold": asked.confidence_threshold,
        "entropy_bound": asked.entropy_bound,
        "entropy_exit": asked.entropy_exit,
        "leftmost_eos": asked.leftmost_eos,
        "top_k": asked.top_k,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "seed": seed if body.seed is None else body.seed,
    }
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    return replace(defaults, **given)


def canvas_length(body: GenerationBody, spec: ModelSpec, *, one_canvas: bool) -> int | None:
    """The length of each canvas, if the client chose one; ``one_canvas`` says that there is no choice."""
    length = body.diffusion.block_length if body.diffusion else None
    if length is None:
        return None
    parameter = "diffusion.block_length"
    if one_canvas:
        raise UnsupportedParameter("This request is denoised as one canvas; its length is fixed.", parameter=parameter)
    if length > spec.max_canvas_length:
        raise InvalidRequest(f"The model's largest canvas has {spec.max_canvas_length} positions.", parameter=parameter)
    return length


def watch(body: GenerationBody) -> Watch | None:
    """How the client wants to see the canvas, which takes a stream."""
    asked = body.diffusion or Diffusion()
    if asked.stream == "canvas":
        wanted, parameter = Watch(asked.canvas_format, asked.canvas_every), "diffusion.stream"
    elif body.diffusing:
        wanted, parameter = Watch("snapshot", asked.canvas_every), "diffusing"
    else:
        return None
    if not body.stream:
        raise InvalidRequest("The canvas can only be watched with 'stream': true.", parameter=parameter)
    return wanted
