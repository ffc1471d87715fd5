"""What a client has seen of one request so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from loadtest.arrivals.arrival import Arrival
from loadtest.exchanges.stability import Views
from loadtest.figures.sample import OK, Sample

Clock = Callable[[], float]
Json = dict[str, Any]


class Failure(Exception):
    """The request failed as ``outcome``: the code of an error, or what its client found wrong."""

    def __init__(self, outcome: str, detail: str = "") -> None:
        super().__init__(f"{outcome}: {detail}")
        self.outcome, self.detail = outcome, detail


@dataclass(slots=True)
class Account:
    """Times are on ``clock``, which is 0 at the start of the load. ``ended`` is when the answer was whole."""

    arrival: Arrival
    clock: Clock
    began: float = 0.0
    commits: list[float] = field(default_factory=list)
    text: str = ""
    finish: str | None = None
    ended: float | None = None
    queue_seconds: float | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    views: Views = field(default_factory=Views)

    def commit(self, text: str) -> None:
        """More of the answer has come."""
        if text:
            self.commits.append(self.clock())
            self.text += text

    def sample(self, outcome: str = OK, detail: str = "") -> Sample:
        """What it came to. Without a whole answer it ends here."""
        ended = self.clock() if self.ended is None else self.ended
        arrival, work = self.arrival, self.usage.get("diffusion", {})
        shown, survived = self.views.count()
        return Sample(
            number=arrival.number,
            tenant=arrival.tenant,
            band=arrival.band,
            kind=arrival.kind,
            due=arrival.at,
            late=self.began - arrival.at,
            seconds=ended - arrival.at,
            outcome=outcome,
            detail=detail,
            first_commit=self.commits[0] - arrival.at if self.commits else None,
            gaps=tuple(after - before for before, after in pairwise(self.commits)),
            queue_seconds=self.queue_seconds,
            prompt_tokens=self.usage.get("prompt_tokens", self.usage.get("input_tokens", 0)),
            completion_tokens=self.usage.get("completion_tokens", self.usage.get("output_tokens", 0)),
            steps=work.get("denoising_steps", 0),
            canvases=work.get("canvases", 0),
            forward_passes=work.get("forward_passes", 0),
            position_forwards=work.get("position_forwards", 0),
            shown=shown,
            survived=survived,
        )
