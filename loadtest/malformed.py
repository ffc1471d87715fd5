"""``python -m loadtest.malformed``: a real cluster under malformed requests, while another tenant goes on as usual.

One tenant sends what is broken, over HTTP and gRPC, as fast as it is answered. Another asks at a steady rate and knows
what it has to be told; it does so alone before and after, and beside the flood. Its model is on a simulated device,
which as an accelerator would takes no time of the processors that the flood takes. The run fails when the cluster calls
any of it its own fault, when a gateway or a proxy grows, or when the other tenant is told anything else than without.
The same seed draws the same requests. Prints a table on the error output, and JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass, field

import httpx
from pydantic import SecretStr

from cluster.hosting import prepare_environment, ray_hosting
from cluster.valkey import embedded_valkey, free_port
from deployments.config import (
    AdminConfig,
    ClusterConfig,
    GrpcConfig,
    HttpConfig,
    ModelConfig,
    PoolConfig,
    SimulationConfig,
)
from deployments.tenancy.declared import KeyConfig, TenantConfig, TenantLimits
from deployments.tenancy.keys import make_key
from loadtest.footprint import proportional_mebibytes_below
from loadtest.malformed_clients import Budget, Tally, over_grpc, over_http
from loadtest.malformed_grpc import GrpcAttacks
from loadtest.malformed_http import MODEL, HttpAttacks

LOUD, QUIET = "mallory", "alice"
KEYS = {tenant: make_key("test") for tenant in (LOUD, QUIET)}
SIMULATED = "simulated"
SIMULATION = SimulationConfig(floor_seconds=0.02, per_position_seconds=1e-4, steps=8.0)
QUESTION = {"model": SIMULATED, "prompt": "def mean(values):\n", "max_tokens": 32, "seed": 1}
PROCESSES = {"proxy": "ProxyActor", "gateway": "ServeReplica:dllm:gateway"}
PER_SECOND = 4.0
WARM_UP = 0.3
"""The share of the flood after which processes have the size that they are to keep."""

LARGEST = 12
"""How many of the largest requests are sent before that, for each protocol."""

MOST_GROWTH = 1.15
"""What a process may have afterwards, as a share of what it had when it was warm. Heaps that are in use by now and then
a mebibyte are some megabytes larger at one time than at another."""

MOST_WITHOUT_STATE = 0.005
"""The share of the requests that may be told that Redis did not answer in time."""


@dataclass
class Phase:
    """What the steady tenant met: latencies in seconds from the intended start, and how often it was told what."""

    latencies: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """The latency that ``share`` of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Report:
    """``answers`` counts what was answered to each kind of attack, and ``faults`` are examples of what should not be.
    Latencies are in seconds, memory in MiB.
    """

    seed: int
    requests: int
    most_growth: float
    seconds: float
    without_state: int
    answers: Mapping[str, Mapping[str, int]]
    slowest: Mapping[str, float]
    faults: Mapping[str, str]
    mebibytes: Mapping[str, tuple[float, float]]
    quiet: Mapping[str, Mapping[str, float]]
    told: Mapping[str, Mapping[str, int]]

    def breaches(self) -> list[str]:
        """What does not hold, in words."""
        found = [f"{kind}: {sent}" for kind, sent in self.faults.items()]
        if self.without_state > MOST_WITHOUT_STATE * self.requests:
            found.append(f"{self.without_state} were told that the state did not answer")
        for name, (before, after) in self.mebibytes.items():
            if after > self.most_growth * before:
                found.append(f"{name} grew from {before:.0f} to {after:.0f} MiB")
        for phase, told in self.told.items():
            found += [f"{QUIET} {phase}: {count} times {what}" for what, count in told.items() if what != "as expected"]
        return found


def configuration() -> ClusterConfig:
    """A cluster of a model for each of two tenants, of which one is limited."""
    pool = PoolConfig(cpus=0.2, threads=1, max_running=8, max_waiting=64)
    return ClusterConfig(
        http=HttpConfig(port=free_port()),
        grpc=GrpcConfig(port=free_port()),
        admin=AdminConfig(port=free_port(), key=SecretStr(make_key("admin"))),
        tenants=[
            TenantConfig(name=LOUD, limits=TenantLimits(concurrency=2, work_per_minute=20_000)),
            TenantConfig(name=QUIET),
        ],
        keys=[KeyConfig(tenant=tenant, key=SecretStr(key)) for tenant, key in KEYS.items()],
        models=[
            ModelConfig(id=MODEL, checkpoint=f"embedded:{MODEL}", pools=[pool]),
            ModelConfig(
                id=SIMULATED, checkpoint=f"embedded:{MODEL}", device="simulated", simulation=SIMULATION, pools=[pool]
            ),
        ],
    )


class Quiet:
    """The steady tenant."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._expected = ""

    async def learn(self) -> None:
        """Ask once, and expect that answer from then on."""
        self._expected = await self._ask()

    async def play(self, phase: Phase, seconds: float | None = None) -> None:
        """Ask ``PER_SECOND`` for so long, or until cancelled; requests under way are waited for."""
        loop = asyncio.get_running_loop()
        start, number = loop.time(), 0
        async with asyncio.TaskGroup() as tasks:
            while seconds is None or number < seconds * PER_SECOND:
                due = start + number / PER_SECOND
                await asyncio.sleep(due - loop.time())
                tasks.create_task(self._note(phase, due))
                number += 1

    async def _note(self, phase: Phase, due: float) -> None:
        told = await self._ask()
        phase.latencies.append(asyncio.get_running_loop().time() - due)
        phase.told["as expected" if told == self._expected else told] += 1

    async def _ask(self) -> str:
        headers = {"authorization": f"Bearer {KEYS[QUIET]}"}
        answer = await self._http.post("/v1/completions", json=QUESTION, headers=headers)
        return str(answer.json()["choices"][0]["text"]) if answer.status_code == 200 else f"status {answer.status_code}"


class Flood:
    """The malformed requests, from ``clients`` connections for each protocol."""

    def __init__(self, config: ClusterConfig, seed: int, clients: int, per_second: float) -> None:
        self._config, self._seed, self._clients, self._per_second = config, seed, clients, per_second
        self.tally = Tally()

    async def send(self, requests: int, part: str) -> None:
        """So many; ``part`` has them drawn otherwise than others."""
        budget, address = Budget(requests, self._per_second), f"127.0.0.1:{self._config.grpc.port}"
        async with asyncio.TaskGroup() as tasks:
            for client in range(self._clients):
                draw = random.Random(f"{self._seed} {part} {client}")  # noqa: S311 - seeded on purpose
                http, calls = HttpAttacks(draw, KEYS[LOUD]), GrpcAttacks(draw, KEYS[LOUD])
                tasks.create_task(over_http(self._config.http.port, http.draw, budget, self.tally))
                tasks.create_task(over_grpc(address, calls.draw, budget, self.tally))

    async def fill(self) -> None:
        """The largest requests that there are, for which processes take memory that they keep."""
        draw = random.Random(self._seed)  # noqa: S311 - seeded on purpose
        http, calls = HttpAttacks(draw, KEYS[LOUD]), GrpcAttacks(draw, KEYS[LOUD])
        await over_http(self._config.http.port, http.large, Budget(LARGEST), self.tally)
        await over_grpc(f"127.0.0.1:{self._config.grpc.port}", calls.large, Budget(LARGEST), self.tally)


def _memory() -> dict[str, float]:
    return {name: proportional_mebibytes_below(os.getpid(), title) for name, title in PROCESSES.items()}


async def measure(config: ClusterConfig, options: argparse.Namespace) -> Report:
    """The whole course: alone, beside the flood, and alone again."""
    limits, loop = httpx.Limits(max_connections=None), asyncio.get_running_loop()
    flood = Flood(config, options.seed, options.clients, options.per_second)
    warm = int(options.requests * WARM_UP)
    phases = {name: Phase() for name in ("alone", "beside")}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{config.http.port}", timeout=60, limits=limits) as http:
        quiet = Quiet(http)
        await quiet.learn()
        await flood.fill()
        await flood.send(warm, "warm-up")
        await quiet.play(phases["alone"], options.alone / 2)
        before, start = _memory(), loop.time()
        beside = asyncio.create_task(quiet.play(phases["beside"]))
        await flood.send(options.requests - warm, "flood")
        seconds = loop.time() - start
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside
        await quiet.play(phases["alone"], options.alone / 2)
        after = _memory()
    tally = flood.tally
    answers: dict[str, dict[str, int]] = {}
    for (kind, answer), count in sorted(tally.answers.items()):
        answers.setdefault(kind, {})[answer] = count
    return Report(
        seed=options.seed,
        requests=options.requests,
        most_growth=options.growth,
        seconds=seconds,
        without_state=tally.without_state,
        answers=answers,
        slowest=tally.slowest,
        faults={f"{kind}, {answer}": sent for (kind, answer), sent in tally.faults.items()},
        mebibytes={name: (before[name], after[name]) for name in PROCESSES},
        quiet={name: {"p50": phase.quantile(0.5), "p99": phase.quantile(0.99)} for name, phase in phases.items()},
        told={name: dict(phase.told) for name, phase in phases.items()},
    )


def table(report: Report) -> str:
    """The report for people."""
    lines = [f"{report.requests} requests, seed {report.seed}; {report.seconds:.0f} s beside the steady tenant"]
    for kind, answers in report.answers.items():
        told = ", ".join(f"{answer} {count}" for answer, count in answers.items())
        lines.append(f"{kind:22} slowest {report.slowest[kind]:6.2f} s   {told}")
    for name, (before, after) in report.mebibytes.items():
        lines.append(f"{name:22} {before:.0f} MiB before, {after:.0f} MiB after")
    for name, latencies in report.quiet.items():
        counts = sum(report.told[name].values())
        lines.append(f"{QUIET} {name:16} p50 {latencies['p50']:.3f} s, p99 {latencies['p99']:.3f} s of {counts}")
    return "\n".join([*lines, *(f"BREACH: {breach}" for breach in report.breaches())])


def run(options: argparse.Namespace) -> Report:
    """The report of a cluster that is started for it."""
    prepare_environment(ClusterConfig())
    config = configuration()
    with redirect_stdout(sys.stderr), embedded_valkey() as state, ray_hosting(config, state.url):
        return asyncio.run(measure(config, options))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, and exit with 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.malformed", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4, help="connections for each protocol")
    parser.add_argument("--per-second", type=float, default=math.inf, help="as fast as they are answered by default")
    parser.add_argument("--alone", type=float, default=60.0, help="seconds of the steady tenant by itself")
    parser.add_argument("--growth", type=float, default=MOST_GROWTH, help="the most that a process may grow")
    report = run(parser.parse_args(arguments))
    print(table(report), file=sys.stderr)
    print(json.dumps(asdict(report), indent=2))
    if report.breaches():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
