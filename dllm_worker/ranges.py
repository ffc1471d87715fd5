"""Which numbers the parameters of a request may be: one table for the engine and for the API. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_STEPS = 1 << 12
"""Of denoising steps of a canvas: each may cost a pass, or at least a look at whether it needs one."""
LARGEST_COUNT = 1 << 16
"""Of steps and positions: more than any canvas has, and small enough for every integer that holds one."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``least`` to ``most``; ``least`` itself is none of them when the range is ``open``."""

    least: float
    most: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies in the range, which NaN never does."""
        return (self.least < value if self.open else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        above = f"above {self.least:g}" if self.open else f"at least {self.least:g}"
        return above if self.most == math.inf else f"{above} and at most {self.most:g}"


SHARE = Range(0.0, 1.0)

SAMPLING: Mapping[str, Range] = {
    "max_steps": Range(1, LARGEST_STEPS),
    "quota": Range(1, LARGEST_COUNT),
    "threshold": SHARE,
    "editing_threshold": SHARE,
    "max_post_steps": Range(0, LARGEST_COUNT),
    "factor": Range(0.0, open=True),
    "entropy_bound": Range(0.0),
    "entropy_exit": Range(0.0),
    "gap_exit": Range(0.0, open=True),
    "stability": Range(0, LARGEST_COUNT),
    "t_min": Range(0.0, 2.0, open=True),
    "t_max": Range(0.0, 2.0, open=True),
    "open_share": SHARE,
    "force_share": SHARE,
    "guidance": Range(0.0, 20.0),
    "temperature": Range(0.0, 2.0),
    "top_p": Range(0.0, 1.0, open=True),
    "top_k": Range(0, 2**31 - 1),
    "seed": Range(-(2**63), 2**63 - 1),
}
"""The numbers of ``SamplingParameters``."""

LOGPROBS = Range(0, 20)
"""Of a request: how many alternatives to each token come with their log-probabilities."""

CACHE: Mapping[str, Range] = {
    "refresh_every": Range(1, LARGEST_COUNT),
    "before": Range(0, LARGEST_COUNT),
    "after": Range(0, LARGEST_COUNT),
}
"""The numbers of ``CacheParameters``."""
