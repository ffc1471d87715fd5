from __future__ import annotations

import pytest

from cluster.simulator.outcome import SLACK, Answer, outcome, percentile
from cluster.simulator.workload import Arrival
from dllm_worker.request import Request


def test_what_is_late_is_no_good() -> None:
    trace = [Arrival(float(i), Request(str(i), max_tokens=10), alone=1.0) for i in range(4)]
    answers = {str(i): Answer(0.5, SLACK if i else SLACK + 1) for i in range(4)}
    row = outcome("phase", 2, trace, answers, [100, 300])
    assert (row.good, row.p50_first, row.p50_latency) == (0.75, 0.5, SLACK)
    assert row.goodput == pytest.approx(30 / (3 + SLACK))
    assert row.p99_slowdown == pytest.approx(SLACK + 0.97)
    assert (row.positions_per_step, row.swing) == (200, 0.5)


def test_percentiles_lie_between_their_neighbours() -> None:
    assert [percentile([1.0, 2.0, 5.0], share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [1.0, 1.5, 2.0, 3.5, 5.0]
    assert percentile([3.0], 0.99) == 3.0
