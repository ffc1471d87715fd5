from __future__ import annotations

from cluster.simulator.outcome import Outcome
from loadtest.routing import COMPARED, Round, compare


def row(router: str, latency: float, swing: float = 0.5) -> Outcome:
    return Outcome(
        router=router,
        replicas=4,
        requests=10,
        p50_latency=latency / 4,
        p99_latency=latency,
        p99_slowdown=latency / 2,
        p50_first=0.1,
        p99_first=0.2,
        goodput=100.0,
        good=1.0,
        positions_per_step=200.0,
        swing=swing,
    )


def one_round(default: float, phase: float, simulated: float) -> Round:
    measured = {"default": default, "phase": phase, "round_robin": 9.0}
    return Round(
        {router: row(router, latency) for router, latency in measured.items()},
        {router: row(router, simulated) for router in measured},
    )


def test_ratios_are_of_each_round_and_errors_are_shares_of_what_was_measured() -> None:
    rows = compare([one_round(8.0, 4.0, 5.0), one_round(10.0, 7.0, 7.0), one_round(6.0, 4.5, 4.5)])
    assert [comparison.router for comparison in rows] == list(COMPARED)
    phase = next(comparison for comparison in rows if comparison.router == "phase")
    assert phase.p99_latency_over_default == (0.5, 0.7, 0.75)
    assert phase.p99_slowdown_over_default == (0.5, 0.7, 0.75)
    assert (phase.measured.p99_latency, phase.simulated.p99_latency) == (4.5, 5.0)
    assert round(phase.simulated_p99_error, 4) == round(0.25 / 3, 4)
    assert round(phase.simulated_p50_error, 4) == round(0.25 / 3, 4)
