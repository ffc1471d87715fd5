"""The self-test of a model on a simulated device, in virtual time."""

from __future__ import annotations

from dllm_worker.interface import EngineLimits
from dllm_worker.models.checkpoint import ModelDescription
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.engine import SimulatedEngine
from dllm_worker.tensor_activity import Crowd, Trial


class VirtualTime:
    """Goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        """Seconds slept so far."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.seconds += seconds


def simulated_trial(
    description: ModelDescription, device: SimulatedDevice, limits: EngineLimits, longest: int
) -> Trial:
    """A simulated engine in which canvases have at most ``longest`` positions."""
    time = VirtualTime()
    crowd = Crowd.of(description.spec, description.defaults, description.cache, limits, longest)
    engine = SimulatedEngine(description.spec, device, crowd.limits, sleep=time.sleep)
    return Trial(engine, crowd, device.peak, time.now)
