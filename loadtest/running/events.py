"""The figures of each request as Locust's own events, so that its console, pages and exports have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from loadtest.exchanges.account import Failure
from loadtest.figures.sample import Sample


class RequestEvent(Protocol):
    """``locust.events.request``."""

    def fire(self, **fields: Any) -> None: ...


def fire(event: RequestEvent, sample: Sample) -> None:
    """One event for each figure, under the request's kind and tenant."""
    name = f"{sample.kind} {sample.tenant}"
    failure = None if sample.is_answered else Failure(sample.outcome)
    for type, figure in figures(sample):
        exception = failure if type == "E2E" else None
        event.fire(request_type=type, name=name, response_time=figure, response_length=0, exception=exception)


def figures(sample: Sample) -> Iterator[tuple[str, float]]:
    """The type and the figure of each event. ``E2E``, ``TTFC`` (time to the first commit), ``IBL`` (time between two
    commits) and ``QUEUE`` are in milliseconds; ``TPF`` is tokens per forward pass, ``STEPS`` steps per canvas and
    ``TPS`` tokens per second.
    """
    yield "E2E", 1000 * sample.seconds
    if not sample.is_answered or not sample.is_measured:
        return
    if sample.first_commit is not None:
        yield "TTFC", 1000 * sample.first_commit
    for gap in sample.gaps:
        yield "IBL", 1000 * gap
    if sample.queue_seconds is not None:
        yield "QUEUE", 1000 * sample.queue_seconds
    if sample.forward_passes:
        yield "TPF", sample.completion_tokens / sample.forward_passes
    if sample.canvases:
        yield "STEPS", sample.steps / sample.canvases
    if sample.completion_tokens:
        yield "TPS", sample.completion_tokens / sample.seconds
