"""The ``diffusion`` object of a request, as parameters of the engine, and back: whose fault a refusal is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from deployments.errors import InvalidRequest, UnsupportedParameter
from deployments.gateway.effort import EFFORTS, adjustable, with_effort
from deployments.gateway.schema import Cache, CanvasFormat, Diffusion, GenerationBody
from dllm_worker.canvas import attention_of
from dllm_worker.capabilities import CapabilityError, cache_reads, caches, reads
from dllm_worker.request import Algorithm, CacheParameters, Request, RequestError, SamplingParameters
from dllm_worker.validate import validate

if TYPE_CHECKING:
    from dllm_worker.models.checkpoint import ModelDescription
    from dllm_worker.spec import ModelSpec

SAMPLING = tuple(field.name for field in fields(SamplingParameters))
CACHE = tuple(field.name for field in fields(CacheParameters))
RENAMED = {"threshold": "confidence_threshold", "canvas_length": "block_length"}
"""Fields of the engine that the API calls otherwise."""

OPENAI = ("temperature", "top_p", "seed")
"""Fields that the OpenAI API has, outside ``diffusion``."""

REPLACED_BY_QUOTA = frozenset({"max_steps", "schedule"})
HEAT = frozenset({"t_min", "t_max"})


@dataclass(frozen=True, slots=True)
class Watch:
    """The client wants to see the canvas: in which form, and one frame per how many steps."""

    format: CanvasFormat
    every: int


def api_name(field: str) -> str:
    """The parameter of the API that sets ``field`` of the engine's request."""
    if field in CACHE:
        return f"diffusion.cache.{field}"
    if field == "cache":
        return "diffusion.cache.kind"
    if field in (*SAMPLING, "canvas_length", "context_attention") and field not in OPENAI:
        return f"diffusion.{RENAMED.get(field, field)}"
    return field


def parameters(algorithm: Algorithm, spec: ModelSpec) -> list[str]:
    """The parameters of the API that matter to ``algorithm``."""
    names = {api_name(field) for field in reads(algorithm)}
    return sorted(names | {"temperature"} if spec.corruption == "uniform" else names)


def defaults_json(description: ModelDescription) -> dict[str, Any]:
    """What a request to the model gets that states nothing, as the fields of a body that states it."""
    sampling, cache, spec = description.defaults, description.cache, description.spec
    read = reads(sampling.algorithm) - {"seed"} - (REPLACED_BY_QUOTA if sampling.quota is not None else set())
    stated = {name: value for name in SAMPLING if name in read and (value := getattr(sampling, name)) is not None}
    reused = {name: getattr(cache, name) for name in CACHE if name in cache_reads(cache.kind, spec.context_attention)}
    diffusion = {RENAMED.get(name, name): value for name, value in stated.items() if name not in OPENAI}
    return {name: stated[name] for name in OPENAI if name in stated} | {"diffusion": {**diffusion, "cache": reused}}


def efforts_json(description: ModelDescription) -> dict[str, Any]:
    """What each effort sets in a request that states nothing else; nothing where the model's algorithm reads none."""
    spec, usual = description.spec, description.defaults
    whole = Request("", max_tokens=spec.canvas_length, sampling=usual)
    fields = sorted(adjustable(whole))
    efforts = {level: with_effort(whole, level, spec).sampling for level in EFFORTS if fields}
    return {
        level: {RENAMED.get(name, name): value for name in fields if (value := getattr(sampling, name)) is not None}
        for level, sampling in efforts.items()
    }


def chosen(body: GenerationBody, spec: ModelSpec) -> dict[str, Any]:
    """The fields of ``SamplingParameters`` that the client chose.

    OpenAI's ``temperature`` is that of every step, so it is the first and the last one of a model that cools down.
    """
    asked = body.diffusion or Diffusion()
    named = {name: getattr(body if name in OPENAI else asked, RENAMED.get(name, name)) for name in SAMPLING}
    given = {name: value for name, value in named.items() if value is not None}
    if "quota" in given and given.keys() & REPLACED_BY_QUOTA:
        raise InvalidRequest("quota takes the place of max_steps and schedule.", parameter="diffusion.quota")
    if spec.corruption == "uniform" and "temperature" in given:
        return _heated(given)
    return given


def _heated(given: dict[str, Any]) -> dict[str, Any]:
    if given.keys() & HEAT:
        raise InvalidRequest("temperature stands for diffusion.t_min and diffusion.t_max.", parameter="temperature")
    if given["temperature"] == 0:
        raise UnsupportedParameter(
            "This model accepts tokens by the entropy of the distribution that they are drawn from, and at "
            "temperature 0 there is none; only a temperature above 0 is accepted.",
            parameter="temperature",
        )
    rest = {name: value for name, value in given.items() if name != "temperature"}
    return rest | dict.fromkeys(HEAT, given["temperature"])


def asked(body: GenerationBody, description: ModelDescription, seed: int, *, template: bool) -> Request:
    """A request without an id and a text: the model's defaults, replaced where the client chose.

    ``seed`` is for a client that chose none. The model's cache is left out where the request cannot use it.
    """
    given, spec = chosen(body, description.spec), description.spec
    if "quota" not in given and given.keys() & REPLACED_BY_QUOTA:
        given["quota"] = None
    diffusion = body.diffusion or Diffusion()
    if template and diffusion.block_length is not None:
        raise UnsupportedParameter(
            "This request is denoised as one canvas; its length is fixed.", parameter=api_name("canvas_length")
        )
    request = Request(
        id="",
        canvas_length=diffusion.block_length,
        context_attention=diffusion.context_attention,
        sampling=replace(description.defaults, **{"seed": seed, **given}),
        drafts=watch(body) is not None,
    )
    usable = description.cache.kind in caches(spec, attention_of(request, spec), template=template)
    cache = description.cache if usable else CacheParameters()
    return replace(request, cache=replace(cache, **_chosen_cache(body)))


def checked(request: Request, body: GenerationBody, spec: ModelSpec) -> Request:
    """``request`` if the model can run it and reads all that ``body`` chose; refuses by the API's names."""
    try:
        validate(request, spec)
    except CapabilityError as error:
        raise UnsupportedParameter(f"{error}.", parameter=api_name(error.parameter)) from error
    except RequestError as error:
        raise InvalidRequest(f"{error}.", parameter=api_name(error.parameter)) from error
    template = request.template is not None
    algorithm, kind = request.sampling.algorithm, request.cache.kind
    of_algorithm = f"algorithm {algorithm}" + (" in a template" if template else "")
    _refuse_unread(chosen(body, spec), reads(algorithm, template=template), of_algorithm)
    of_cache = f"a cache of kind {kind} of this model"
    _refuse_unread(_chosen_cache(body), cache_reads(kind, attention_of(request, spec)), of_cache)
    return request


def _refuse_unread(given: dict[str, Any], read: frozenset[str], reader: str) -> None:
    for name in given:
        if name not in read:
            names = ", ".join(sorted(api_name(other) for other in read))
            message = f"This changes nothing for {reader}, which reads {names}."
            raise UnsupportedParameter(message, parameter=api_name(name))


def _chosen_cache(body: GenerationBody) -> dict[str, Any]:
    cache = (body.diffusion or Diffusion()).cache or Cache()
    return {name: value for name in CACHE if (value := getattr(cache, name)) is not None}


def watch(body: GenerationBody) -> Watch | None:
    """How the client wants to see the canvas, which takes a stream."""
    diffusion = body.diffusion or Diffusion()
    if diffusion.stream == "canvas":
        wanted, parameter = Watch(diffusion.canvas_format, diffusion.canvas_every), "diffusion.stream"
    elif body.diffusing:
        wanted, parameter = Watch("snapshot", diffusion.canvas_every), "diffusing"
    else:
        return None
    if not body.stream:
        raise InvalidRequest("The canvas can only be watched with 'stream': true.", parameter=parameter)
    return wanted
