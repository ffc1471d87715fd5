"""One request that is to come."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.tenancy.tenant import Band
from loadtest.scenario.scenario import Kind


@dataclass(frozen=True, slots=True)
class Arrival:
    """The request ``number`` is to start ``at`` so many seconds, whatever has become of those before.

    ``prompt_tokens`` and ``answer_tokens`` are about how long its texts are; ``seed`` says everything else of it.
    """

    number: int
    at: float
    tenant: str
    band: Band
    kind: Kind
    prompt_tokens: int
    answer_tokens: int
    seed: int
