from __future__ import annotations

from deployments.activity.estimate import EstimateSource, Executed
from deployments.activity.source import Reading


class Engine:
    def __init__(self) -> None:
        self.executed = Executed(0.0, 10.0)


def test_a_long_step_counts_with_all_its_time_when_it_has_ended() -> None:
    engine = Engine()
    source = EstimateSource(lambda: engine.executed, peak=100.0)
    engine.executed = Executed(50.0, 11.0)
    assert source.read(1.0) == Reading(0.5, 1.0)
    for now in (2.0, 3.0):
        assert source.read(now) == Reading(0.5, now)
    engine.executed = Executed(50.0 + 300.0, 14.0)
    assert source.read(4.0) == Reading(1.0, 4.0)


def test_an_engine_that_does_nothing_is_idle() -> None:
    engine = Engine()
    source = EstimateSource(lambda: engine.executed, peak=100.0)
    engine.executed = Executed(50.0, 11.0)
    source.read(1.0)
    engine.executed = Executed(50.0, 12.0)
    assert source.read(2.0) == Reading(0.0, 2.0)


def test_a_peak_without_bound_is_never_approached() -> None:
    engine = Engine()
    source = EstimateSource(lambda: engine.executed, peak=float("inf"))
    engine.executed = Executed(50.0, 11.0)
    assert source.read(1.0) == Reading(0.0, 1.0)
