"""How a load was shared between the tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.tenancy.queue.fairness import jain_index
from loadtest.figures.sample import Sample


@dataclass(frozen=True, slots=True)
class Fairness:
    """``jain`` is Jain's index of the work that each tenant's answers took, in position-forwards per weight. It is
    below 1 also when some tenant asked for less than its share, so it is a measure where all ask for more than there
    is. ``max_lag`` is the furthest that the queues' own counters of backlogged tenants were seen apart, in work units;
    ``None`` where nobody looked.
    """

    services: Mapping[str, float]
    jain: float
    max_lag: float | None


def fairness(samples: Sequence[Sample], weights: Mapping[str, float], max_lag: float | None) -> Fairness:
    """Of all tenants in ``weights``."""
    services = {
        tenant: sum(sample.position_forwards for sample in samples if sample.tenant == tenant) / weight
        for tenant, weight in weights.items()
    }
    return Fairness(services, jain_index(services.values()), max_lag)
