"""What a step costs on a device that only exists in virtual time, or that a replica pretends to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

FLOPS_PER_POSITION = 16e9
"""Operations of a position-forward, whatever it looks at."""

MEMORY_BYTES_PER_SECOND = 3.35e12


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """Seconds of one pass: arithmetic, linear in positions, or reading the weights once if that takes longer.

    The defaults are about those of an 8B model in BF16 on an H100: 16 GB at 3.35 TB/s, 16 GFLOP a position at
    400 TFLOP/s. A canvas of the model's own length that may exit early takes ``steps`` denoising steps on average,
    under the default threshold, and other ones take as many for as many positions.
    """

    floor_seconds: float = 4.8e-3
    per_position_seconds: float = 4e-5
    per_segment_seconds: float = 2e-5
    steps: float = 10.0

    def seconds(self, positions: int, segments: int) -> float:
        """The duration of a pass over ``positions`` rows of ``segments`` requests."""
        return max(self.floor_seconds, positions * self.per_position_seconds) + segments * self.per_segment_seconds

    @property
    def peak(self) -> float:
        """Operations in a second; without bound where positions take no time."""
        return FLOPS_PER_POSITION / self.per_position_seconds if self.per_position_seconds else math.inf

    @property
    def bytes(self) -> float:
        """What each pass reads: the weights."""
        return self.floor_seconds * MEMORY_BYTES_PER_SECOND
