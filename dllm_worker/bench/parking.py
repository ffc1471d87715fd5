"""What a request costs as a value: bytes of its checkpoint, and what going on from it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dllm_worker.bench.answering import Answers, answer, collect, limits_for
from dllm_worker.bench.shapes import SMALL_FAMILIES, VOCABULARY, random_model
from dllm_worker.checkpoint import Checkpoint
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import CacheParameters, Request, SamplingParameters

CANVAS, PROMPT, REQUESTS, STEPS = 256, 256, 4, 6


@dataclass(frozen=True, slots=True)
class Parked:
    """Requests that were parked after ``STEPS`` steps of a canvas and went on from their bytes.

    ``bytes`` is the largest checkpoint, ``more_position_forwards`` what a request needed beyond an uninterrupted one,
    and ``same_tokens`` the share of its tokens that are those of an uninterrupted one.
    """

    model: str
    checkpoint: str
    bytes: int
    more_position_forwards: float
    same_tokens: float


def parking(dtype: str, device: str) -> list[Parked]:
    """A masked model with an exact cache, one with an approximate cache, and a self-conditioned one, whole and lean."""
    masked = SamplingParameters(algorithm="low_confidence", max_steps=16, eos="ignore")
    renoised = SamplingParameters(algorithm="renoise", max_steps=16, eos="ignore")
    dual = CacheParameters("dual")
    rows = [
        _row("sdar", "whole", _model("sdar", dtype, device), _asked(masked)),
        _row("llada, dual cache", "whole", _model("llada", dtype, device), _asked(masked, dual)),
    ]
    gemma = _model("diffusion_gemma", dtype, device)
    return rows + [_row("diffusion_gemma", kind, gemma, _asked(renoised)) for kind in ("whole", "lean")]


def _model(name: str, dtype: str, device: str) -> LoadedModel:
    lengths = {"sdar": {"block_size": CANVAS}, "diffusion_gemma": {"canvas_length": CANVAS}}
    return random_model({"model_type": name} | SMALL_FAMILIES[name] | lengths.get(name, {}), dtype, device)


def _asked(sampling: SamplingParameters, cache: CacheParameters | None = None) -> list[Request]:
    return [
        Request(
            id=str(i),
            prompt=tuple((7 * i + 13 * j) % (VOCABULARY - 8) for j in range(PROMPT)),
            max_tokens=CANVAS,
            canvas_length=CANVAS,
            sampling=sampling,
            cache=cache or CacheParameters(),
        )
        for i in range(REQUESTS)
    ]


def _row(name: str, kind: str, model: LoadedModel, asked: Sequence[Request]) -> Parked:
    whole, limits = answer(model, asked), limits_for(model, asked)
    engine, elsewhere, parts, largest = Engine(model, limits), Engine(model, limits), Answers(), 0
    for request in asked:
        engine.add(request)
    collect(engine, parts, STEPS)
    for request in asked:
        checkpoint = engine.park(request.id, lean=kind == "lean")
        if checkpoint is None:
            raise RuntimeError(f"{request.id} has ended within {STEPS} steps")
        data = checkpoint.to_bytes()
        largest = max(largest, len(data))
        elsewhere.resume(request, Checkpoint.from_bytes(data))
    collect(elsewhere, parts)
    return _compared(name, kind, largest, whole, parts)


def _compared(name: str, kind: str, largest: int, whole: Answers, parts: Answers) -> Parked:
    pairs = [pair for key in whole.tokens for pair in zip(whole.tokens[key], parts.tokens[key], strict=True)]
    more = [parts.usages[key].position_forwards - whole.usages[key].position_forwards for key in whole.usages]
    return Parked(name, kind, largest, sum(more) / len(more), sum(a == b for a, b in pairs) / len(pairs))
