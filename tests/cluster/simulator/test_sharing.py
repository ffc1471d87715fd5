from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.simulator.neighbours import Neighbours, noise, simulate_noise
from cluster.simulator.run import Scenario
from cluster.simulator.sharing import TenantTrace, share
from cluster.simulator.workload import Arrival
from dllm_worker.interface import EngineLimits
from dllm_worker.request import Request
from dllm_worker.simulated.device import SimulatedDevice
from tests.dllm_worker.simulated.devices import spec

DEVICE = SimulatedDevice(floor_seconds=0.1, per_position_seconds=0.0, per_segment_seconds=0.0, steps=4.0)
SCENARIO = Scenario(2, device=DEVICE, limits=EngineLimits(max_running=8, position_budget=4096))
NEIGHBOURS = Neighbours(SCENARIO, seconds=15.0)


def burst(tenant: str, count: int, tokens: int = 16, **changes: float) -> TenantTrace:
    """All at once, in a queue that takes them all."""
    requests = (Request(f"{tenant}-{number}", (5,) * 4, max_tokens=tokens) for number in range(count))
    trace = [Arrival(0.0, request, 1.0) for request in requests]
    return replace(TenantTrace(tenant, trace, cap=10_000), **changes)  # type: ignore[arg-type]


def test_a_quiet_tenant_notices_little_of_a_flood_and_all_of_it_without_the_queue() -> None:
    fair = simulate_noise(NEIGHBOURS, spec())
    unfair = simulate_noise(NEIGHBOURS, spec(), queued=False)
    assert fair.p99_ratio <= 1.5
    assert unfair.p99_ratio > 4 * fair.p99_ratio


def test_it_is_the_same_every_time() -> None:
    assert simulate_noise(NEIGHBOURS, spec()) == simulate_noise(NEIGHBOURS, spec())


def test_backlogged_tenants_keep_their_shares_within_the_bound() -> None:
    result = share(SCENARIO, spec(), [burst("small", 150), burst("large", 600, weight=3.0)])
    halfway = {tenant: len(latencies) for tenant, latencies in result.latencies.items()}
    assert halfway == {"small": 150, "large": 600}
    assert result.latency("small", 1.0) == pytest.approx(result.latency("large", 150 * 3 / 600), rel=0.3)
    assert 0 < result.max_lag <= result.lag_bound
    assert result.jain > 0.9


def test_more_than_may_wait_is_refused() -> None:
    result = share(SCENARIO, spec(), [burst("loud", 100, cap=10)])
    places = SCENARIO.replicas * 9
    assert result.refused == {"loud": 100 - 10 - places}
    assert len(result.latencies["loud"]) == 10 + places
    assert result.work["loud"] > 0


def test_ratios_are_flood_over_alone() -> None:
    row = noise("way", [1.0, 2.0, 3.0], [2.0, 3.0, 9.0], 0.5, 7.0)
    assert (row.p50_alone, row.p50_flood, row.p50_ratio) == (2.0, 3.0, 1.5)
    assert row.p99_ratio == row.p99_flood / row.p99_alone
    assert (row.jain, row.max_lag) == (0.5, 7.0)
