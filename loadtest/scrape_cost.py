"""``python -m loadtest.scrape_cost``: what a scrape of all processes costs the gateway that answers it.

Stand-ins for the processes of a cluster, each of which has every metric with a few values of each label, answer from
other processes; a loop that only ticks shows how late a gateway's stream would be meanwhile. The share of the time is
that of a scrape every 15 s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, cast

from prometheus_client import CollectorRegistry

from deployments.telemetry.collection import Collection
from deployments.telemetry.exposition import Exposition
from deployments.telemetry.names import ALL, REQUEST_DURATION
from deployments.telemetry.prometheus import PrometheusMetrics
from deployments.telemetry.targets import MemoryTargets, Target

STAND_INS = 4
"""Python processes that play the cluster's."""

LABEL_VALUES = 4
TRACE = "0af7651916cd43dd8448eb211c80319c"
TICK_SECONDS = 0.001
ROUNDS = 20
RECORDS = 20_000
SCRAPE_SECONDS = 15.0
FORMATS = {"text": "text/plain;version=0.0.4", "openmetrics": "application/openmetrics-text;version=1.0.0"}


def play(processes: range) -> None:
    """Be these processes until the input ends, and say first where they are."""
    expositions = [Exposition(_filled().registry, "worker", str(number), "127.0.0.1") for number in processes]
    print(json.dumps([asdict(exposition.target) for exposition in expositions]), flush=True)
    sys.stdin.read()


def _filled() -> PrometheusMetrics:
    metrics = PrometheusMetrics(CollectorRegistry())
    for metric in ALL:
        for number in range(LABEL_VALUES):
            metrics.record(metric, 0.3, trace_id=TRACE, **dict.fromkeys(metric.labels, f"value-{number}"))
    return metrics


@contextmanager
def cluster_of(processes: int) -> Iterator[MemoryTargets]:
    """So many processes that answer."""
    targets, players = MemoryTargets(), []
    try:
        for player in range(STAND_INS):
            share = range(processes * player // STAND_INS, processes * (player + 1) // STAND_INS)
            command = [sys.executable, "-m", "loadtest.scrape_cost", "--play", f"{share.start}:{share.stop}"]
            players.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for process in players:
            for fields in json.loads(cast(IO[str], process.stdout).readline()):
                targets.announce(Target(**fields))
        yield targets
    finally:
        for process in players:
            process.communicate()


async def scrape(targets: MemoryTargets, format: str) -> str:
    """A line about scrapes in ``format``."""
    collection, late = Collection(targets), [0.0]

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - began - TICK_SECONDS)

    await collection.collect(FORMATS[format])
    ticking, took, worked, latest = asyncio.create_task(tick()), [], [], []
    for _ in range(ROUNDS):
        late.clear()
        began, work = time.perf_counter(), time.process_time()
        _, text = await collection.collect(FORMATS[format])
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
        latest.append(max(late, default=0.0))
    ticking.cancel()
    milliseconds = [f"{1000 * statistics.median(each):.0f} ms" for each in (took, worked, latest)]
    share = f"{statistics.median(worked) / SCRAPE_SECONDS:.2%}"
    return f"| {format} | {text.count(chr(10))} | {len(text) / 1e6:.1f} MB | {' | '.join(milliseconds)} | {share} |"


def record_cost() -> str:
    """A line about the recording of one value of a histogram, with and without an example."""
    metrics, labels = PrometheusMetrics(CollectorRegistry()), {"model": "m", "band": "normal"}
    plain = timeit.timeit(lambda: metrics.record(REQUEST_DURATION, 0.3, **labels), number=RECORDS)
    traced = timeit.timeit(lambda: metrics.record(REQUEST_DURATION, 0.3, trace_id=TRACE, **labels), number=RECORDS)
    return f"One value takes {1e6 * plain / RECORDS:.1f} us, with an example {1e6 * traced / RECORDS:.1f} us."


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--play", metavar="FIRST:STOP", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play is not None:
        first, stop = arguments.play.split(":")
        play(range(int(first), int(stop)))
        return
    print("| format | lines | size | time | processor time | loop late by | of the time |")
    print("|---|---|---|---|---|---|---|")
    with cluster_of(arguments.processes) as targets:
        for format in FORMATS:
            print(asyncio.run(scrape(targets, format)))
    print(record_cost())


if __name__ == "__main__":
    main()
