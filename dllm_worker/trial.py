"""The self-test of a model on the device of this process."""

from __future__ import annotations

from dllm_worker.engine import Engine
from dllm_worker.interface import EngineLimits
from dllm_worker.models.loading import LoadedModel
from dllm_worker.peak import device_clock, measured_peak
from dllm_worker.tensor_activity import Crowd, Trial


def trial_of(model: LoadedModel, limits: EngineLimits, longest: int, seconds: float) -> Trial:
    """An engine of ``model`` in which canvases have at most ``longest`` positions; its cache holds the crowd alone.

    The peak is measured here, for about ``seconds``.
    """
    clock = device_clock(model.device)
    peak = measured_peak(model.dtype, model.device, seconds, clock)
    crowd = Crowd.of(model.spec, model.description.defaults, model.description.cache, limits, longest)
    return Trial(Engine(model, crowd.limits), crowd, peak, clock)
