"""``python -m loadtest.autoscaling``: a load that rises and falls, on a cluster that grows and shrinks with it.

A real cluster on this machine answers, on simulated devices or, with ``--embedded``, with the embedded model, whose
replicas share the cores of the machine. Replicas are processes, and Ray Serve's autoscaler starts and stops them.
Requests come by a Poisson process whose rate follows ``--shape``, each when it is due, whatever has
become of those before. The same requests meet the policy of the configuration and Ray Serve's own, which is told to
react as fast. After each load a storm of streams is cut off by its clients, and everything has to come to rest. Prints
JSON, draws a chart where ``--png`` says, and ends with status 1 when a request was lost or something did not rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from unittest import mock

import httpx
from pydantic import SecretStr

from cluster.autoscaling.course import turns
from cluster.autoscaling.shapes import SHAPES, arrivals
from cluster.hosting import prepare_environment, ray_hosting
from cluster.simulator.outcome import percentile
from cluster.valkey import embedded_valkey, free_port
from deployments.autoscaling.config import AutoscalingConfig, ObjectiveConfig, PaceConfig, PanicConfig, ScalingConfig
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GatewayConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    SimulationConfig,
)
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import make_key

MODEL, CHECKPOINT, KEY = "tiny-code", "embedded:tiny-code", make_key("test")
ADMIN_KEY = make_key("admin")
MAX_RUNNING, MOST = 8, 6
TOKENS = 64
LOOK_SECONDS = 0.5
REST_SECONDS = 60.0
STORM = 100
LATE_SECONDS = 6.0
OURS, SERVES = "tensor_core", "ray_serve"

SCALING = ScalingConfig(
    down=PaceConfig(stabilization_seconds=20.0, replicas=1, share=0.5, period_seconds=5.0),
    panic=PanicConfig(hold_seconds=20.0),
    cold_start_seconds=5.0,
)
"""The defaults with shorter times, since the load of a day is pressed into minutes."""


@dataclass
class Seen:
    """What a load came to: latencies in seconds from the intended start, statuses, and the running replicas by time."""

    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    replicas: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``lost`` requests had no answer. ``changes`` of the number of replicas were seen, of which ``oscillations`` in
    the other direction than the one before. At ``rest`` nothing runs or waits.
    """

    policy: str
    requests: int
    lost: int
    statuses: dict[str, int]
    p50_seconds: float
    p99_seconds: float
    late: float
    replica_seconds: float
    most_replicas: int
    changes: int
    oscillations: int
    rest: bool


def configuration(*, embedded: bool) -> ClusterConfig:
    """One pool of one to ``MOST`` replicas. A simulated one does a request in about 16 steps of 32 positions, each of
    which takes 0.8 ms: 2.4 requests a second, alone or together.
    """
    simulation = SimulationConfig(floor_seconds=0.02, per_position_seconds=8e-4, per_segment_seconds=0.0, steps=8.0)
    pool = PoolConfig(max_replicas=MOST, cpus=0.05, max_running=MAX_RUNNING, scaling=SCALING)
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=None),
        admin=AdminConfig(port=free_port(), key=SecretStr(ADMIN_KEY)),
        gateway=GatewayConfig(cpus=0.05),
        autoscaling=AutoscalingConfig(interval_seconds=1.0, stale_seconds=6.0),
        keys=[KeyConfig(tenant="acme", key=SecretStr(KEY))],
        models=[
            ModelConfig(
                id=MODEL,
                checkpoint=CHECKPOINT,
                device="cpu" if embedded else "simulated",
                simulation=None if embedded else simulation,
                objective=ObjectiveConfig(first_commit_seconds=3.0),
                pools=[pool],
            )
        ],
    )


@contextmanager
def policy(name: str, config: ClusterConfig) -> Iterator[None]:
    """That of the configuration, or Ray Serve's own: as many ongoing requests as are denoised together at the same
    load, with the same windows.
    """
    if name == OURS:
        yield
        return
    from ray.serve.config import AutoscalingConfig as ServeAutoscaling

    scaling = config.models[0].pools[0].scaling
    own = ServeAutoscaling(
        min_replicas=1,
        max_replicas=MOST,
        target_ongoing_requests=scaling.load * MAX_RUNNING,
        look_back_period_s=11.0,
        upscale_delay_s=scaling.up.stabilization_seconds,
        downscale_delay_s=scaling.down.stabilization_seconds,
    )
    with mock.patch("deployments.app.pool_autoscaling", return_value=own):
        yield


class Clients:
    """All clients of a cluster, and somebody who counts its replicas."""

    def __init__(self, config: ClusterConfig, http: httpx.AsyncClient) -> None:
        self._config, self._http = config, http

    async def play(self, shape: str, peak: float, seconds: float, seed: int) -> Seen:
        """The load, and as long again as it takes to shrink."""
        seen, start = Seen(), asyncio.get_running_loop().time()
        onlooker = asyncio.create_task(self._look(seen, start))
        async with asyncio.TaskGroup() as group:
            for number, at in enumerate(arrivals(SHAPES[shape], peak, seconds, Random(seed))):  # noqa: S311
                group.create_task(self._ask(seen, start + at, number))
        onlooker.cancel()
        await asyncio.gather(onlooker, return_exceptions=True)
        return seen

    async def storm(self) -> bool:
        """Whether all comes to rest after many streams are cut off in their middle."""
        await asyncio.gather(*(self._cut(number) for number in range(STORM)))
        deadline = asyncio.get_running_loop().time() + REST_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if await self._rests():
                return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _ask(self, seen: Seen, due: float, number: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(due - loop.time())
        body = {"model": MODEL, "prompt": "return", "max_tokens": TOKENS, "seed": number}
        try:
            status = str((await self._http.post("/v1/completions", json=body)).status_code)
        except httpx.HTTPError as error:
            status = type(error).__name__
        seen.statuses[status] += 1
        seen.latencies.append(loop.time() - due)

    async def _cut(self, number: int) -> None:
        body = {"model": MODEL, "prompt": "return", "max_tokens": 4 * TOKENS, "seed": number, "stream": True}
        async with self._http.stream("POST", "/v1/completions", json=body) as answer:
            async for _ in answer.aiter_bytes():
                return

    async def _look(self, seen: Seen, start: float) -> None:
        from ray import serve

        loop = asyncio.get_running_loop()
        while True:
            status = await asyncio.to_thread(serve.status)
            deployments = status.applications[self._config.name].deployments
            running = next(each for name, each in deployments.items() if name != "gateway").replica_states
            seen.replicas.append((loop.time() - start, running.get("RUNNING", 0)))
            await asyncio.sleep(LOOK_SECONDS)

    async def _rests(self) -> bool:
        admin = f"http://127.0.0.1:{self._config.admin.port}"
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        queues = (await self._http.get(f"{admin}/admin/v1/queues", headers=headers)).json()["data"]
        metrics = (await self._http.get(f"{admin}/metrics", headers=headers)).text
        held = [
            float(line.rpartition(" ")[2])
            for line in metrics.splitlines()
            if line.startswith("dllm_canvas_slots{") and 'state="free"' not in line
        ]
        idle = all(not each["running"] and not any(each["waiting"].values()) for each in queues)
        return idle and bool(held) and not any(held)


def outcome(name: str, seen: Seen, *, rest: bool) -> Outcome:
    """In figures; the replicas are those that run, and each second of them counts."""
    latencies = sorted(seen.latencies)
    sizes = [size for _, size in seen.replicas]
    changes, oscillations = turns(sizes)
    return Outcome(
        policy=name,
        requests=len(latencies),
        lost=len(latencies) - seen.statuses["200"],
        statuses=dict(seen.statuses),
        p50_seconds=percentile(latencies, 0.5),
        p99_seconds=percentile(latencies, 0.99),
        late=sum(each > LATE_SECONDS for each in latencies) / len(latencies),
        replica_seconds=sum(size * (after - at) for (at, size), (after, _) in pairwise(seen.replicas)),
        most_replicas=max(sizes),
        changes=len(changes),
        oscillations=oscillations,
        rest=rest,
    )


async def measure(config: ClusterConfig, name: str, options: argparse.Namespace) -> tuple[Seen, Outcome]:
    """One policy under the load, and under the storm."""
    headers = {"authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    url = f"http://127.0.0.1:{config.http.port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600.0, limits=limits) as http:
        clients = Clients(config, http)
        seen = await clients.play(options.shape, options.peak, options.seconds, options.seed)
        return seen, outcome(name, seen, rest=await clients.storm())


def draw(png: Path, options: argparse.Namespace, seen: dict[str, Seen]) -> None:
    """The rate of the requests, and above it how many replicas each policy had."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 4.5), height_ratios=(2, 1))
    for name, each in seen.items():
        above.step(*zip(*each.replicas, strict=True), where="post", label=name)
    above.set_ylabel("running replicas")
    above.legend(frameon=False)
    times = range(int(options.seconds))
    below.plot(times, [options.peak * SHAPES[options.shape](at / options.seconds) for at in times], color="grey")
    below.set_ylabel("requests / s")
    below.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(png, dpi=110)


def main() -> None:
    """One cluster for each policy, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.autoscaling", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="ramp")
    parser.add_argument("--peak", type=float, default=10.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--policies", nargs="+", choices=(OURS, SERVES), default=[OURS, SERVES])
    parser.add_argument("--embedded", action="store_true", help="the embedded model in place of simulated devices")
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    prepare_environment(ClusterConfig())
    # What is measured is to wait for nobody: Ray starts its replicas with a niceness of 15.
    os.environ.update({"RAY_worker_niceness": "0"})
    seen: dict[str, Seen] = {}
    rows = []
    for name in options.policies:
        config = configuration(embedded=options.embedded)
        with (
            redirect_stdout(sys.stderr),  # where Ray may write what it likes
            embedded_valkey() as state,
            policy(name, config),
            ray_hosting(config, state.url),
        ):
            seen[name], row = asyncio.run(measure(config, name, options))
        rows.append(row)
    if options.png is not None:
        draw(options.png, options, seen)
    print(json.dumps([asdict(row) for row in rows], indent=2))
    sys.exit(0 if all(row.rest and not row.lost for row in rows) else 1)


if __name__ == "__main__":
    main()
