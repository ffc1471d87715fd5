"""How much work a request spends on quality: four efforts, each a change of what the model does by itself.

``medium`` is the model as it is. Of any other effort only those parameters change that the request's algorithm reads
and its client did not choose.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from dllm_worker import ranges
from dllm_worker.canvas import RENOISE_STEPS, first_start, grid_length, total_length
from dllm_worker.capabilities import reads

if TYPE_CHECKING:
    from dllm_worker.request import Request
    from dllm_worker.spec import ModelSpec

Effort = Literal["instant", "low", "medium", "high"]
Reason = Literal["quality_floor", "deadline"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""From the least to the most work."""

USUAL: Effort = "medium"


@dataclass(frozen=True, slots=True)
class Preset:
    """``doubt`` multiplies the odds against a token at which it is accepted all the same, ``steps`` the step bound."""

    doubt: float
    steps: float


PRESETS: Mapping[Effort, Preset] = {
    "instant": Preset(4.0, 0.25),
    "low": Preset(2.0, 0.5),
    "medium": Preset(1.0, 1.0),
    "high": Preset(0.5, 2.0),
}

FIELDS = frozenset({"threshold", "entropy_bound", "factor", "max_steps"})
"""The fields of ``SamplingParameters`` that an effort may change."""


@dataclass(frozen=True, slots=True)
class AppliedEffort:
    """The effort that a request runs with and, where it is not the one that was asked for, what changed it."""

    level: Effort
    because: Reason | None = None

    def __str__(self) -> str:
        return f"{self.level};because={self.because}" if self.because else self.level


def between(most: Effort, least: Effort) -> tuple[Effort, ...]:
    """The efforts from ``most`` down to ``least``; ``most`` alone where that is less."""
    lowest = min(EFFORTS.index(least), EFFORTS.index(most))
    return EFFORTS[lowest : EFFORTS.index(most) + 1][::-1]


def adjustable(request: Request, chosen: Collection[str] = ()) -> frozenset[str]:
    """The fields that an effort changes of ``request``, of which the client chose ``chosen``."""
    read = FIELDS & reads(request.sampling.algorithm, template=request.template is not None)
    return read - {*chosen} - ({"max_steps"} if "quota" in chosen else set())


def with_effort(request: Request, effort: Effort, spec: ModelSpec, chosen: Collection[str] = ()) -> Request:
    """``request`` with another effort than the usual one; what the client chose stays."""
    if effort == USUAL:
        return request
    preset, sampling = PRESETS[effort], request.sampling
    fields = adjustable(request, chosen)
    values: dict[str, Any] = {
        "threshold": _doubted(sampling.threshold, preset.doubt),
        "entropy_bound": sampling.entropy_bound * preset.doubt,
        "factor": sampling.factor * preset.doubt,
        "max_steps": _bounded(request, spec, preset.steps),
    }
    changed = {name: values[name] for name in fields}
    if "max_steps" in fields:
        changed["quota"] = None
    return replace(request, sampling=replace(sampling, **changed))


def _doubted(threshold: float, doubt: float) -> float:
    """The probability whose odds against are ``doubt`` times those of ``threshold``; certainty stays certainty."""
    against = doubt * (1.0 - threshold)
    return round(threshold / (threshold + against), 4) if threshold else 0.0


def _bounded(request: Request, spec: ModelSpec, share: float) -> int:
    """``share`` of the steps that the longest canvas of ``request`` takes at most by itself."""
    sampling, canvas = request.sampling, _longest_canvas(request, spec)
    if sampling.quota is not None:
        usual = -(-canvas // sampling.quota)
    else:
        usual = sampling.max_steps or (RENOISE_STEPS if spec.corruption == "uniform" else canvas)
    steps = max(1, math.ceil(usual * share))
    timed = spec.corruption == "uniform" or sampling.schedule == "dream" or sampling.algorithm == "ancestral"
    return min(steps, int(ranges.SAMPLING["max_steps"].most) if timed else max(usual, canvas))


def _longest_canvas(request: Request, spec: ModelSpec) -> int:
    """Positions of the longest canvas that ``request`` opens."""
    if request.template is not None:
        return len(request.template)
    return min(grid_length(request, spec), total_length(request) - first_start(request, spec))
