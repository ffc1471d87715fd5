"""A replica as Ray Serve drives it, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from ray import serve
from ray.serve.request_router import ReplicaID

from deployments.activity.sampler import Sampler
from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.report import ReplicaReport
from deployments.config import ModelConfig, PoolConfig, SimulationConfig
from deployments.replica.build import start_engine
from deployments.replica.worker import Worker
from deployments.routing.stats import figures_of
from deployments.run import Progress, Run
from deployments.telemetry.config import TelemetryConfig
from dllm_worker.request import Commit, Finish, Request

NAME = "SERVE_REPLICA::dllm#worker:m:default#r1"
SIMULATION = SimulationConfig(floor_seconds=1e-6, per_position_seconds=0.0, per_segment_seconds=0.0)
SIMULATED = ModelConfig(id="m", checkpoint="embedded:tiny-code", device="simulated", simulation=SIMULATION)
POOL = PoolConfig(max_running=2, checkpoint_every=3)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    context = SimpleNamespace(replica_id=ReplicaID.from_full_id_str(NAME))
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    yield (worker := Worker(SIMULATED, POOL, AutoscalingConfig(), TelemetryConfig()))
    worker.__del__()


async def told(worker: Worker, run: Run) -> list[Progress]:
    return [progress async for progress in worker.generate(run, ticket=None)]


async def test_the_first_message_names_the_replica_as_routers_do(worker: Worker) -> None:
    messages = await told(worker, Run(Request("a", (5, 6), max_tokens=8)))
    assert [progress.replica for progress in messages if progress.replica] == [NAME]
    assert messages[0].replica == NAME


async def test_it_answers_on_a_device_that_is_simulated(worker: Worker) -> None:
    messages = await told(worker, Run(Request("a", (5, 6), max_tokens=40)))
    events = [event for progress in messages for event in progress.events]
    assert sum(len(event.tokens) for event in events if isinstance(event, Commit)) == 40
    assert isinstance(events[-1], Finish)
    assert (await worker.stats())["running"] == 0


async def test_what_the_controller_polls_is_what_routers_read(worker: Worker) -> None:
    figures = figures_of(worker.record_routing_stats())
    assert (figures.free_places, figures.backlog) == (2, 0)


async def test_a_replica_whose_engine_has_ended_is_to_be_replaced(worker: Worker) -> None:
    assert await worker.ready()
    worker.check_health()
    worker.__del__()
    assert not await worker.ready()
    with pytest.raises(RuntimeError, match="stopped"):
        worker.check_health()


async def test_a_model_is_loaded_where_nothing_is_simulated() -> None:
    real = SIMULATED.model_copy(update={"device": "cpu", "simulation": None})
    thread = start_engine(real, POOL)
    messages = [progress async for progress in thread.generate(Run(Request("a", (5, 6), max_tokens=4)))]
    thread.stop()
    assert isinstance(messages[-1].events[-1], Finish)


async def test_what_the_autoscaler_hears_is_known_at_once(worker: Worker) -> None:
    before = ReplicaReport.of(worker.record_autoscaling_stats())
    assert (before.running, before.waiting, before.positions) == (0, 0, 0)
    await told(worker, Run(Request("a", (5, 6), max_tokens=40)))
    stats = await worker.stats()
    after = ReplicaReport.of(worker.record_autoscaling_stats())
    assert after.at >= before.at
    assert after.positions == stats["position_forwards"] > 0
    assert after.refresh == stats["position_forwards"] - stats["kinds"]["reuse"] > 0


def test_an_activity_that_is_not_known_is_left_out(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sampler, "latest", lambda _: None)
    report = ReplicaReport.of(worker.record_autoscaling_stats())
    assert (report.source, report.activity, report.load) == ("none", None, None)
