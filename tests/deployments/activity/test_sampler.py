from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from deployments.activity.sampler import Sampler
from deployments.activity.source import Reading
from deployments.autoscaling.config import ActivitySource
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.names import TENSOR_ACTIVITY, TENSOR_AGREEMENT, TENSOR_LOAD

LABELS = {"model": "m", "pool": "p"}
WAIT_SECONDS = 10.0


@dataclass
class Told:
    """A source that says ``value``, or fails with it; it hangs while ``free`` is not set."""

    name: ActivitySource
    value: float | Exception | None
    free: threading.Event = field(default_factory=threading.Event)
    was_read: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.free.set()

    def read(self, now: float) -> Reading | None:
        self.was_read.release()
        assert self.free.wait(WAIT_SECONDS)
        if isinstance(self.value, Exception):
            raise self.value
        return None if self.value is None else Reading(self.value, now)

    def close(self) -> None:
        self.closed.set()

    def wait_for_whole_readings(self) -> None:
        """Return after one that has begun and ended in the meantime: the next but one to begin follows it."""
        while self.was_read.acquire(blocking=False):
            pass
        for _ in range(3):
            assert self.was_read.acquire(timeout=WAIT_SECONDS)


class Setting:
    """A sampler of a counter and the estimate, with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counter, self.estimate = Told("gpm", 0.4), Told("estimate", 0.3)
        self.metrics = MemoryMetrics()
        self.sampler = Sampler(
            [self.counter, self.estimate], {"gpm": 0.8, "estimate": 0.6}, 15.0, self.metrics, LABELS, lambda: self.now
        )

    @property
    def source(self) -> str | None:
        latest = self.sampler.latest()
        return None if latest is None else latest.source


@pytest.fixture
def setting() -> Iterator[Setting]:
    setting = Setting()
    yield setting
    setting.counter.free.set()
    setting.sampler.close()


def test_before_a_reading_nothing_is_known(setting: Setting) -> None:
    assert setting.sampler.latest() is None


def test_it_falls_back_and_comes_back(setting: Setting) -> None:
    setting.sampler.sample()
    assert setting.source == "gpm"
    setting.counter.value = OSError("lost")
    setting.sampler.sample()
    assert setting.source == "estimate"
    setting.counter.value = 0.5
    setting.sampler.sample()
    assert setting.source == "gpm"


def test_a_source_that_hangs_holds_nothing_and_grows_stale(setting: Setting) -> None:
    setting.sampler.sample()
    setting.counter.free.clear()
    setting.sampler.start(0.001)
    setting.estimate.wait_for_whole_readings()
    assert setting.source == "gpm"
    setting.now += 16.0
    setting.estimate.wait_for_whole_readings()
    assert setting.source == "estimate"


def test_what_is_not_read_any_more_is_not_known(setting: Setting) -> None:
    setting.sampler.sample()
    setting.now += 16.0
    assert setting.sampler.latest() is None


def test_the_first_of_errors_in_a_row_is_logged(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        setting.counter.value = OSError("lost")
        for _ in range(3):
            setting.sampler.sample()
        setting.counter.value = 0.5
        setting.sampler.sample()
        setting.counter.value = OSError("lost again")
        setting.sampler.sample()
    assert [record.getMessage() for record in caplog.records] == [
        "tensor activity cannot be read from gpm: lost",
        "tensor activity cannot be read from gpm: lost again",
    ]


def test_it_is_told_as_metrics(setting: Setting) -> None:
    setting.sampler.sample()
    setting.sampler.sample()
    assert setting.metrics.last(TENSOR_ACTIVITY, "m", "p", "gpm") == 0.4
    assert setting.metrics.last(TENSOR_ACTIVITY, "m", "p", "estimate") == 0.3
    assert setting.metrics.last(TENSOR_LOAD, "m", "p") == 0.5
    assert setting.metrics.last(TENSOR_AGREEMENT, "m", "p") == pytest.approx(0.75)
    setting.counter.value = None
    setting.sampler.sample()
    assert math.isnan(setting.metrics.last(TENSOR_ACTIVITY, "m", "p", "gpm"))
    assert setting.metrics.last(TENSOR_LOAD, "m", "p") == 0.3 / 0.6
    assert math.isnan(setting.metrics.last(TENSOR_AGREEMENT, "m", "p"))


def test_closing_ends_the_threads_and_closes_the_sources(setting: Setting) -> None:
    setting.sampler.start(1000.0)
    setting.sampler.close()
    assert setting.counter.closed.is_set()
    assert setting.estimate.closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("activity-")]


def test_without_a_counter_there_is_nothing_to_agree_with() -> None:
    metrics = MemoryMetrics()
    Sampler([Told("estimate", 0.3)], {}, 15.0, metrics, LABELS).sample()
    assert (TENSOR_AGREEMENT.name, "m", "p") not in metrics.values
