"""Whether a request can be answered in the time that its client gives it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.errors import DeadlineExceeded, InvalidRequest

if TYPE_CHECKING:
    from deployments.pools.pool import Forecast
    from dllm_worker.request import Request

HEADER = "x-dllm-deadline-ms"
LONGEST_MS = 10**9


def parse_deadline(value: str | None) -> int | None:
    """The milliseconds of the header; ``None`` without one. Raises :class:`InvalidRequest`."""
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 10 and 1 <= int(value) <= LONGEST_MS):
        raise InvalidRequest(f"A whole number of milliseconds from 1 to {LONGEST_MS} is expected.", parameter=HEADER)
    return int(value)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The answer is wanted within ``seconds``, at ``ends_at`` in Unix seconds. ``forecast`` may know nothing yet."""

    seconds: float
    ends_at: float
    forecast: Callable[[Request], Forecast | None]

    def fits(self, request: Request) -> bool:
        """Whether ``request`` is not predicted to be late."""
        predicted = self.forecast(request)
        return predicted is None or predicted.wait + predicted.run <= self.seconds

    def exceeded(self, request: Request) -> DeadlineExceeded:
        """The refusal of ``request``, which does not fit."""
        predicted = self.forecast(request)
        wait, run = (0.0, 0.0) if predicted is None else (predicted.wait, predicted.run)
        return DeadlineExceeded(
            f"The request would wait {_ms(wait)} ms and run {_ms(run)} ms; its deadline is in {_ms(self.seconds)} ms.",
            parameter=HEADER,
            details={"predicted_wait_ms": _ms(wait), "predicted_run_ms": _ms(run)},
        )


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
