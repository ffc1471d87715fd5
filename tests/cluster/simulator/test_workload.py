from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.simulator.workload import Load, alone_seconds, draw
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.simulated.course import profile_of
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import position_forwards
from dllm_worker.validate import validate

SPEC = describe(resolve_checkpoint("embedded:tiny-code")).spec
DEVICE = SimulatedDevice()


def test_a_load_is_drawn_from_its_seed_and_is_as_heavy_as_it_says() -> None:
    load = Load(utilization=0.5)
    trace = draw(load, SPEC, DEVICE, 3, 200, seed=1)
    assert trace == draw(load, SPEC, DEVICE, 3, 200, seed=1)
    assert trace != draw(load, SPEC, DEVICE, 3, 200, seed=2)
    work = sum(position_forwards(profile_of(arrival.request, SPEC, DEVICE)) for arrival in trace)
    assert work * DEVICE.per_position_seconds / (3 * trace[-1].at) == pytest.approx(0.5)


def test_every_request_can_be_run_and_they_are_mixed() -> None:
    load = Load()
    requests = [arrival.request for arrival in draw(load, SPEC, DEVICE, 1, 200, seed=0)]
    for request in requests:
        validate(request, SPEC)
    assert {request.canvas_length for request in requests} == set(load.canvases)
    long = [request for request in requests if len(request.prompt) > load.short_prompt]
    assert 0.2 < len(long) / len(requests) < 0.4
    assert len({request.prompt[: load.long_prompt] for request in long}) == load.documents
    assert len({request.id for request in requests}) == len(requests)


def test_bursts_arrive_at_once() -> None:
    bursts = draw(replace(Load(), burst_share=1.0, burst=5), SPEC, DEVICE, 1, 20, seed=0)
    assert len({arrival.at for arrival in bursts}) == 4
    singles = draw(replace(Load(), burst_share=0.0), SPEC, DEVICE, 1, 20, seed=0)
    assert len({arrival.at for arrival in singles}) == 20


def test_alone_a_request_pays_for_each_of_its_passes() -> None:
    device = SimulatedDevice(floor_seconds=1.0, per_position_seconds=0.1, per_segment_seconds=0.5)
    scheduled = SamplingParameters("low_confidence", max_steps=2)
    request = Request("a", prompt=(5,) * 32, max_tokens=64, sampling=scheduled)
    prefill, commit, steps = 3.2, 3.2, 4 * 3.2
    assert alone_seconds(request, SPEC, device) == pytest.approx(prefill + commit + steps + 6 * 0.5)
