"""Real replicas that are killed or frozen while they run a request, and the next one that ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest
import ray
from ray import serve
from ray._private.state import actors

from deployments.app import deployment_name, worker
from deployments.config import ClusterConfig, ModelConfig, PoolConfig, SimulationConfig
from deployments.errors import ReplicaLost
from deployments.pools.pool_set import Member, PoolSet
from deployments.pools.ray_pool import RayPool
from deployments.run import Run
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.request import Commit, Finish, Request
from tests.deployments.rays import serving_ray

APP = f"lost-{os.getpid()}"
POOL = PoolConfig(replicas=2, cpus=0.0, stall_seconds=5.0)
MODEL = ModelConfig(
    id="tiny",
    checkpoint="embedded:tiny-code",
    device="simulated",
    simulation=SimulationConfig(floor_seconds=0.05, steps=4),
    pools=[POOL],
)
REQUEST = Request("a", prompt=tuple(range(5, 25)), max_tokens=96)


@pytest.fixture(scope="module")
def pools() -> Iterator[PoolSet]:
    """A pool of two replicas with simulated devices."""
    with serving_ray():
        handle = serve.run(worker(ClusterConfig(), MODEL, POOL), name=APP, route_prefix=None)
        spec = describe(resolve_checkpoint(MODEL.checkpoint)).spec
        assert handle.deployment_name == deployment_name(MODEL, POOL)
        yield PoolSet(spec, [Member.of(POOL, RayPool(handle, spec, POOL, 2.0))], 2.0)


def pid_of(replica: str) -> int:
    """The process of a replica, whose actor has its name."""
    actor = ray.get_actor(replica, namespace="serve")
    pid: int = actors(actor._actor_id.hex())["Pid"]
    return pid


async def answer(pools: PoolSet, run: Run) -> tuple[tuple[int, ...], str]:
    """The tokens that a run commits, and who committed them."""
    tokens: tuple[int, ...] = ()
    who, finished = "", False
    async with aclosing(pools.generate(run)) as messages:
        async for progress in messages:
            who = progress.replica or who
            tokens += tuple(token for event in progress.events if isinstance(event, Commit) for token in event.tokens)
            finished = any(isinstance(event, Finish) for event in progress.events)
    assert finished
    return tokens, who


@dataclass(slots=True)
class Attack:
    """Hits the replica of a run by a signal once it has committed something; ``run`` is the one to go on with."""

    run: Run
    how: signal.Signals
    tokens: tuple[int, ...] = ()
    replica: str = ""
    pid: int = 0

    async def until_lost(self, pools: PoolSet) -> None:
        async with aclosing(pools.generate(self.run)) as messages:
            async for progress in messages:
                self.replica = progress.replica or self.replica
                for event in progress.events:
                    self.tokens += event.tokens if isinstance(event, Commit) else ()
                checkpoint = progress.checkpoint or self.run.checkpoint
                self.run = replace(self.run, checkpoint=checkpoint, committed=len(self.tokens))
                if self.tokens and not self.pid:
                    self.pid = pid_of(self.replica)
                    os.kill(self.pid, self.how)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lost_replica_is_noticed_and_another_one_ends_the_request(pools: PoolSet, how: signal.Signals) -> None:
    undisturbed, _ = await answer(pools, Run(replace(REQUEST, id=f"undisturbed {how}")))
    attack = Attack(Run(replace(REQUEST, id=f"disturbed {how}")), how)
    try:
        with pytest.raises(ReplicaLost):
            await attack.until_lost(pools)
    finally:
        if how is signal.SIGSTOP and attack.pid:
            os.kill(attack.pid, signal.SIGKILL)
    assert 0 < len(attack.tokens) < len(undisturbed)
    rest, who = await answer(pools, replace(attack.run, epoch=2, avoid=(attack.replica,)))
    assert attack.tokens + rest == undisturbed
    assert who != attack.replica
