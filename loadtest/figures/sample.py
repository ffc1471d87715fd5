"""What became of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from deployments.tenancy.tenant import Band
from loadtest.scenario.scenario import Kind

OK = "ok"
REFUSALS = ("rate_limit_exceeded", "concurrency_exceeded", "queue_full", "insufficient_quota", "overloaded")
"""Errors by which a request is told to come later: the limits at work, not a failure of the service."""

UNMEASURED = ("cancelling", "slow_reader")
"""Clients that decide themselves how long they take."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are in seconds; ``due`` is from the start of the load, all others from ``due``, the intended
    start, so that what had to wait for its turn is not counted as fast.

    ``late`` is how much later the request was sent, ``seconds`` when it ended, and ``gaps`` are the times between its
    commits. ``outcome`` is ``ok``, the code of an error, or what the client found wrong. ``shown`` and ``survived``
    count characters of canvas views, and those of them that were committed as they were shown.
    """

    number: int
    tenant: str
    band: Band
    kind: Kind
    due: float
    late: float
    seconds: float
    outcome: str
    detail: str = ""
    first_commit: float | None = None
    gaps: tuple[float, ...] = ()
    queue_seconds: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    steps: int = 0
    canvases: int = 0
    forward_passes: int = 0
    position_forwards: int = 0
    shown: int = 0
    survived: int = 0

    @property
    def is_answered(self) -> bool:
        """Whether the answer came whole, and is one."""
        return self.outcome == OK

    @property
    def is_refused(self) -> bool:
        """Whether the request was told to come later."""
        return self.outcome in REFUSALS

    @property
    def is_failed(self) -> bool:
        """Whether the service failed, or answered wrongly."""
        return not self.is_answered and not self.is_refused

    @property
    def is_measured(self) -> bool:
        """Whether its times are the service's."""
        return self.kind not in UNMEASURED

    def as_json(self) -> dict[str, Any]:
        """For a file, and for the way from a worker to the master."""
        return asdict(self)

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        """The sample that :meth:`as_json` wrote."""
        return cls(**{**fields, "gaps": tuple(fields["gaps"])})
