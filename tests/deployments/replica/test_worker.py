"""A replica as Ray Serve drives it, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from ray import serve
from ray.serve.request_router import ReplicaID

from deployments.config import ModelConfig, PoolConfig, SimulationConfig
from deployments.replica.worker import Worker, start_engine
from deployments.routing.stats import figures_of
from deployments.run import Progress, Run
from dllm_worker.request import Commit, Finish, Request

NAME = "SERVE_REPLICA::dllm#worker:m:default#r1"
SIMULATION = SimulationConfig(floor_seconds=1e-6, per_position_seconds=0.0, per_segment_seconds=0.0)
SIMULATED = ModelConfig(id="m", checkpoint="embedded:tiny-code", device="simulated", simulation=SIMULATION)
POOL = PoolConfig(max_running=2, checkpoint_every=3)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    context = SimpleNamespace(replica_id=ReplicaID.from_full_id_str(NAME))
    monkeypatch.setattr(serve, "get_replica_context", lambda: context)
    yield (worker := Worker(SIMULATED, POOL))
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
    thread = start_engine(real, POOL, "r2")
    messages = [progress async for progress in thread.generate(Run(Request("a", (5, 6), max_tokens=4)))]
    thread.stop()
    assert messages[0].replica == "r2"
    assert isinstance(messages[-1].events[-1], Finish)
