"""What every source of tensor activity holds, over devices that are as busy as they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from deployments.activity.dcgm import DcgmSource
from deployments.activity.estimate import EstimateSource, Executed
from deployments.activity.gpm import GpmSource
from deployments.activity.nvml import Gpu
from deployments.activity.source import Source
from tests.deployments.activity.nvml import FakeGpu, FakeNvml
from tests.deployments.activity.prometheus import FakePrometheus, prometheus

PEAK = 1e12
NOW = 1_000_000.0


class Rig(Protocol):
    """A source, and the device that it looks at."""

    source: Source
    now: float

    def work(self, seconds: float, share: float) -> None: ...
    def break_it(self) -> None: ...
    def mend_it(self) -> None: ...


class EngineRig:
    def __init__(self) -> None:
        self.now, self.flops, self.broken = NOW, 0.0, False
        self.source: Source = EstimateSource(self.executed, PEAK)

    def executed(self) -> Executed:
        if self.broken:
            raise RuntimeError("the engine is gone")
        return Executed(self.flops, self.now - NOW)

    def work(self, seconds: float, share: float) -> None:
        self.now, self.flops = self.now + seconds, self.flops + seconds * share * PEAK

    def break_it(self) -> None:
        self.broken = True

    def mend_it(self) -> None:
        self.broken = False


class NvmlRig:
    def __init__(self) -> None:
        self.now, self.gpu = NOW, FakeGpu("GPU-1")
        self.nvml = FakeNvml(self.gpu)
        self.source: Source = GpmSource(self.nvml, Gpu(self.gpu, "GPU-1"))

    def work(self, seconds: float, share: float) -> None:
        self.now += seconds
        self.gpu.work(seconds, share)

    def break_it(self) -> None:
        self.nvml.broken = True

    def mend_it(self) -> None:
        self.nvml.broken = False


class PrometheusRig:
    def __init__(self, fake: FakePrometheus) -> None:
        self.fake, self.samples = fake, list[tuple[float, str]]()
        fake.series.append(({"__name__": "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "UUID": "GPU-1"}, self.samples))
        self.source: Source = DcgmSource(fake.url, {"UUID": "GPU-1"}, 15.0)
        self.now = fake.now = NOW

    def work(self, seconds: float, share: float) -> None:
        self.now = self.fake.now = self.now + seconds
        self.samples.append((self.now, str(share)))

    def break_it(self) -> None:
        self.fake.broken = 503

    def mend_it(self) -> None:
        self.fake.broken = None


@pytest.fixture(params=["estimate", "gpm", "dcgm"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made: dict[str, Callable[[], Rig]] = {"estimate": EngineRig, "gpm": NvmlRig}
    if request.param in made:
        rig = made[request.param]()
        yield rig
        rig.source.close()
    else:
        with prometheus() as fake:
            rig = PrometheusRig(fake)
            yield rig
            rig.source.close()


def read(rig: Rig) -> float:
    reading = rig.source.read(rig.now)
    assert reading is not None
    assert reading.at == rig.now
    return reading.value


def test_it_follows_the_device(rig: Rig) -> None:
    rig.work(1, 0.5)
    rig.source.read(rig.now)
    for share in (0.9, 0.0, 0.25):
        rig.work(1, share)
        assert read(rig) == pytest.approx(share)


def test_each_reading_is_of_the_time_since_the_last(rig: Rig) -> None:
    rig.work(1, 1.0)
    rig.source.read(rig.now)
    rig.work(3, 0.3)
    assert read(rig) == pytest.approx(0.3)


def test_what_goes_wrong_is_raised_and_passes(rig: Rig) -> None:
    rig.work(1, 0.5)
    rig.source.read(rig.now)
    rig.break_it()
    rig.work(1, 0.5)
    with pytest.raises(Exception, match=r"gone|lost|503|Lost"):
        rig.source.read(rig.now)
    rig.mend_it()
    rig.work(1, 0.7)
    rig.source.read(rig.now)
    rig.work(1, 0.7)
    assert read(rig) == pytest.approx(0.7, abs=1e-9)
