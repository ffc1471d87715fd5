"""What an engine has executed. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from dllm_worker.scheduling.planner import StepKind


@dataclass(slots=True)
class Tally:
    """Since the start: the operations and bytes of all steps, by their shapes, and position-forwards by their kind."""

    flops: float = 0.0
    bytes: float = 0.0
    kinds: dict[StepKind, int] = field(default_factory=lambda: dict.fromkeys(StepKind, 0))

    @property
    def position_forwards(self) -> int:
        return sum(self.kinds.values())
