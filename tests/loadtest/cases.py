"""Scenarios and samples for tests."""

from __future__ import annotations

from typing import Any

from loadtest.arrivals.arrival import Arrival
from loadtest.figures.sample import Sample
from loadtest.scenario.scenario import Scenario

ARRIVAL = Arrival(3, 10.0, "acme", "default", "chat_stream", 24, 16, 7)


def scenario(**changes: Any) -> Scenario:
    """A minute of one tenant, unless ``changes`` say otherwise."""
    return Scenario.model_validate({"name": "test", "tenants": [{"name": "acme"}]} | changes)


def sample(**changes: Any) -> Sample:
    """A chat stream that was answered within a second, unless ``changes`` say otherwise."""
    usual: dict[str, Any] = {
        "number": 0,
        "tenant": "acme",
        "band": "default",
        "kind": "chat_stream",
        "due": 20.0,
        "late": 0.001,
        "seconds": 1.0,
        "outcome": "ok",
        "first_commit": 0.25,
        "gaps": (0.25, 0.5),
        "prompt_tokens": 8,
        "completion_tokens": 10,
        "steps": 8,
        "canvases": 2,
        "forward_passes": 5,
        "position_forwards": 100,
    }
    return Sample(**usual | changes)
