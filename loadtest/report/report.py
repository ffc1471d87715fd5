"""All that is told of a load test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtest.figures.results import Results
from loadtest.figures.sample import Sample
from loadtest.gates.verdict import Verdict
from loadtest.report.environment import Environment
from loadtest.running.disturbances import Disturbed
from loadtest.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Report:
    """``digest`` is that of the requests: the same for the same load. ``samples`` are all of them, warm-up included."""

    scenario: Scenario
    environment: Environment
    digest: str
    results: Results
    verdicts: Sequence[Verdict]
    disturbed: Sequence[Disturbed]
    samples: Sequence[Sample]

    @property
    def passed(self) -> bool:
        """Whether every gate has passed."""
        return all(verdict.passed for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples. What was not measured is null."""
        told = {
            "passed": self.passed,
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "environment": asdict(self.environment),
            "digest": self.digest,
            "results": asdict(self.results),
            "disturbed": [asdict(each) for each in self.disturbed],
            "scenario": self.scenario.model_dump(mode="json"),
        }
        return {name: _plain(value) for name, value in told.items()}


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    match value:
        case float() if math.isnan(value):
            return None
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value
