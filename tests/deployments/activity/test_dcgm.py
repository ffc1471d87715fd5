from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest

from deployments.activity.dcgm import FIELDS, DcgmSource, labels_of
from deployments.activity.nvml import VISIBLE, Gpu
from deployments.activity.source import Reading, Unavailable
from tests.deployments.activity.prometheus import FakePrometheus, prometheus

OLD, NEW = FIELDS
MINE = {"UUID": "GPU-1", "gpu": "0", "Hostname": "node-1"}


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    with prometheus() as fake:
        fake.now = 1000.0
        yield fake


def read(fake: FakePrometheus, labels: Mapping[str, str], window: float = 15.0) -> Reading | None:
    source = DcgmSource(fake.url, labels, window)
    try:
        return source.read(fake.now)
    finally:
        source.close()


@pytest.mark.parametrize("field", FIELDS)
def test_the_field_has_an_old_name_and_a_new_one(fake: FakePrometheus, field: str) -> None:
    fake.series = [({"__name__": field, **MINE}, [(995.0, "0.5")])]
    assert read(fake, {"UUID": "GPU-1"}) == Reading(0.5, 995.0)


def test_of_several_series_the_newest_sample_counts(fake: FakePrometheus) -> None:
    fake.series = [
        ({"__name__": OLD, **MINE}, [(990.0, "0.1"), (998.0, "0.2")]),
        ({"__name__": NEW, **MINE}, [(999.0, "0.3"), (997.0, "0.4")]),
    ]
    assert read(fake, {"UUID": "GPU-1"}) == Reading(0.3, 999.0)


def test_another_device_is_another_series(fake: FakePrometheus) -> None:
    fake.series = [
        ({"__name__": OLD, **MINE, "GPU_I_ID": "7"}, [(999.0, "0.1")]),
        ({"__name__": OLD, **MINE, "GPU_I_ID": "8"}, [(999.0, "0.2")]),
        ({"__name__": OLD, **MINE, "UUID": "GPU-2"}, [(999.0, "0.3")]),
        ({"__name__": "DCGM_FI_PROF_SM_ACTIVE", **MINE}, [(999.0, "0.4")]),
    ]
    assert read(fake, {"UUID": "GPU-1", "GPU_I_ID": "8"}) == Reading(0.2, 999.0)
    assert read(fake, {"UUID": "GPU-3"}) is None


@pytest.mark.parametrize("value", ["NaN", "+Inf"])
def test_what_is_no_number_is_not_read(fake: FakePrometheus, value: str) -> None:
    fake.series = [({"__name__": OLD, **MINE}, [(999.0, value)])]
    assert read(fake, {"UUID": "GPU-1"}) is None


def test_an_old_sample_is_not_asked_for(fake: FakePrometheus) -> None:
    fake.series = [({"__name__": OLD, **MINE}, [(980.0, "0.5")])]
    assert read(fake, {"UUID": "GPU-1"}, window=15.0) is None
    assert read(fake, {"UUID": "GPU-1"}, window=30.0) == Reading(0.5, 980.0)


@pytest.mark.parametrize("answer", ["not JSON", '{"data": {}}', '{"data": {"result": [{"value": [1, "2"]}]}}', "[]"])
def test_what_is_no_answer_is_an_error(fake: FakePrometheus, answer: str) -> None:
    fake.broken = answer
    with pytest.raises(ValueError, match=r"Prometheus|Expecting"):
        read(fake, {"UUID": "GPU-1"})


def test_nobody_there_is_an_error() -> None:
    with prometheus() as gone:
        url = gone.url
    source = DcgmSource(url, {"UUID": "GPU-1"}, 15.0)
    with pytest.raises(httpx.HTTPError):
        source.read(0.0)
    source.close()


@pytest.mark.parametrize(
    ("gpu", "environment", "labels"),
    [
        (Gpu(None, "GPU-1"), {}, {"UUID": "GPU-1"}),
        (Gpu(None, "GPU-1", 7), {}, {"UUID": "GPU-1", "GPU_I_ID": "7"}),
        (None, {VISIBLE: "GPU-2"}, {"UUID": "GPU-2"}),
        (None, {VISIBLE: "3,1"}, {"gpu": "3", "Hostname": "here"}),
        (None, {VISIBLE: "3", "NODE_NAME": "node-1"}, {"gpu": "3", "Hostname": "node-1"}),
    ],
)
def test_the_series_is_that_of_this_process(
    gpu: Gpu | None, environment: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    assert labels_of(gpu, environment, "here") == labels


def test_a_process_without_a_device_has_no_series() -> None:
    with pytest.raises(Unavailable):
        labels_of(None, {VISIBLE: ""}, "here")
