"""What master and workers tell each other, beside what Locust does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from loadtest.figures.sample import Sample

BEGIN = "dllm_begin"
"""Locust's name of the message that has a :class:`Beginning`."""

REPORT = "dllm"
"""Where a :class:`Progress` is in Locust's reports from its workers."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The load starts now: the process ``index`` of ``count`` asks its part of the requests whose digest this is."""

    index: int
    count: int
    digest: str
    base_url: str
    grpc_address: str | None
    keys: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a process has seen since its last report, and how many of its requests are to come or under way.

    With a ``fault`` it cannot ask at all.
    """

    samples: Sequence[Sample]
    outstanding: int
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "samples": [sample.as_json() for sample in self.samples],
            "outstanding": self.outstanding,
            "fault": self.fault,
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> Self:
        return cls([Sample.of_json(each) for each in fields["samples"]], fields["outstanding"], fields["fault"])
