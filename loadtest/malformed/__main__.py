"""``python -m loadtest.malformed``: a real cluster under malformed requests, while another tenant goes on as usual.

One tenant sends what is broken, over HTTP and gRPC, as fast as it is answered. Another asks at a steady rate and knows
what it has to be told; it does so alone before and after, beside the flood, and beside the same requests before
anything is wrong with them. Its model is on a simulated device, which as an accelerator would takes no time of the
processors that the flood takes; that of the first tenant decodes what is still valid, or with ``--accelerated`` is
simulated too. The run fails when the cluster calls any of it its own fault, when a gateway or a proxy grows, or when
the other tenant is told anything else than without. The same seed draws the same requests. Prints a table on the error
output, and JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

import httpx

from cluster.hosting import prepare_environment, ray_hosting
from cluster.valkey import embedded_valkey
from deployments.config import ClusterConfig
from loadtest.footprint import proportional_mebibytes_below
from loadtest.malformed.flood import WELL_FORMED, Flood
from loadtest.malformed.quiet import Quiet
from loadtest.malformed.report import MOST_GROWTH, Phase, Report, table
from loadtest.malformed.tenants import configuration

PROCESSES = {"proxy": "ProxyActor", "gateway": "ServeReplica:dllm:gateway"}
WARM_UP = 0.3
"""The share of the flood after which processes have the size that they are to keep."""


def _memory() -> dict[str, float]:
    return {name: proportional_mebibytes_below(os.getpid(), title) for name, title in PROCESSES.items()}


async def measure(config: ClusterConfig, options: argparse.Namespace) -> Report:
    """The whole course: alone, beside the flood, and alone again."""
    limits, loop = httpx.Limits(max_connections=None), asyncio.get_running_loop()
    flood = Flood(config, options.seed, options.clients, options.per_second)
    warm = int(options.requests * WARM_UP)
    phases = {name: Phase() for name in ("alone", f"beside {WELL_FORMED}", "beside malformed")}

    async def play_during(phase: str, what: Coroutine[Any, Any, None]) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(quiet.play(phases[phase], over))
            await what
            over.set()

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{config.http.port}", timeout=60, limits=limits) as http:
        quiet = Quiet(http)
        await quiet.learn()
        await flood.fill()
        await flood.send(warm, "warm-up")
        await play_during("alone", asyncio.sleep(options.alone / 2))
        await play_during(f"beside {WELL_FORMED}", flood.send(options.well_formed, WELL_FORMED))
        before, start = _memory(), loop.time()
        await play_during("beside malformed", flood.send(options.requests - warm, "malformed"))
        seconds = loop.time() - start
        await play_during("alone", asyncio.sleep(options.alone / 2))
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
        with_their_connections=tally.with_their_connections,
        answers=answers,
        slowest=tally.slowest,
        faults={f"{kind}, {answer}": sent for (kind, answer), sent in tally.faults.items()},
        mebibytes={name: (before[name], after[name]) for name in PROCESSES},
        quiet={name: {"p50": phase.quantile(0.5), "p99": phase.quantile(0.99)} for name, phase in phases.items()},
        told={name: dict(phase.told) for name, phase in phases.items()},
    )


def run(options: argparse.Namespace) -> Report:
    """The report of a cluster that is started for it."""
    prepare_environment(ClusterConfig())
    config = configuration(decodes=not options.accelerated)
    with redirect_stdout(sys.stderr), embedded_valkey() as state, ray_hosting(config, state.url):
        return asyncio.run(measure(config, options))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, and exit with 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.malformed", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--well-formed", type=int, default=10_000, help="requests to compare with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=4, help="connections for each protocol")
    parser.add_argument("--per-second", type=float, default=math.inf, help="as fast as they are answered by default")
    parser.add_argument(
        "--accelerated", action="store_true", help="no model takes time of the processors, as on accelerators"
    )
    parser.add_argument("--alone", type=float, default=60.0, help="seconds of the steady tenant by itself")
    parser.add_argument("--growth", type=float, default=MOST_GROWTH, help="the most that a process may grow")
    report = run(parser.parse_args(arguments))
    print(table(report), file=sys.stderr)
    print(json.dumps(asdict(report), indent=2))
    if report.breaches():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
