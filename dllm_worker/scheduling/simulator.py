"""``python -m dllm_worker.scheduling.simulator``: the step planner beside grouping by arrival, in virtual time.

Both schedulers see the same requests, device and budget, cut their passes by the same
:func:`~dllm_worker.scheduling.planner.plan` and evaluate the same rows. They differ in when a request may join and in
whose rows may share a pass.

Canvases that saturate the device one by one have nothing to gain from sharing a pass. Under the load of wide canvases
the planner's swing is still the lower one, but its tail is the longer one: it shares the device among all requests
that run, where grouping ends those of one group first.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np

from dllm_worker.scheduling.planner import PlannedRows, StepBudget, plan
from dllm_worker.simulated.device import SimulatedDevice
from dllm_worker.simulated.profile import Profile, Progress, position_forwards


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that comes ``at`` so many seconds."""

    at: float
    profile: Profile


class Scheduler(Protocol):
    """Who may join the running requests before a step, and which rows the step holds."""

    name: str

    def joining(self, running: int, places: int) -> int: ...

    def plan(self, running: Sequence[Progress], budget: StepBudget) -> tuple[PlannedRows, ...]: ...


class PhaseMixing:
    """The engine's: requests join between steps, and the planner mixes all that is running."""

    name = "planner"

    def joining(self, running: int, places: int) -> int:
        return places - running

    def plan(self, running: Sequence[Progress], budget: StepBudget) -> tuple[PlannedRows, ...]:
        return plan((progress.demand for progress in running), budget)


class ArrivalGrouping:
    """Those that have arrived form a group, and the next group forms when all of its canvases have ended.

    The group runs in lockstep: nobody takes a pass, or opens a canvas, before all others have come as far.
    """

    name = "arrival groups"

    def joining(self, running: int, places: int) -> int:
        return 0 if running else places

    def plan(self, running: Sequence[Progress], budget: StepBudget) -> tuple[PlannedRows, ...]:
        stage = min(progress.stage for progress in running)
        behind = (progress.demand for progress in running if progress.stage == stage)
        return plan(behind, StepBudget(budget.positions, budget.positions))


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened: seconds from arrival to end by request, whose name is its number in order of arrival; positions
    and seconds by step; and when the last request ended.
    """

    latencies: dict[str, float]
    positions: tuple[int, ...]
    seconds: tuple[float, ...]
    end: float


def simulate(
    arrivals: Sequence[Arrival], scheduler: Scheduler, device: SimulatedDevice, budget: StepBudget, places: int
) -> Trace:
    """Run the requests, given in order of arrival, to their ends, at most ``places`` at a time."""
    waiting = deque((arrival.at, Progress(str(i), arrival.profile)) for i, arrival in enumerate(arrivals))
    running: dict[str, Progress] = {}
    latencies: dict[str, float] = {}
    positions: list[int] = []
    seconds: list[float] = []
    now = 0.0
    while waiting or running:
        if not running:
            now = max(now, waiting[0][0])
        for _ in range(scheduler.joining(len(running), places)):
            if waiting and waiting[0][0] <= now:
                _, joined = waiting.popleft()
                joined.waited_since = len(positions)
                running[joined.name] = joined
        planned = scheduler.plan(list(running.values()), budget)
        positions.append(sum(rows.positions for rows in planned))
        seconds.append(device.seconds(positions[-1], len(planned)))
        now += seconds[-1]
        for rows in planned:
            progress = running[rows.request_id]
            progress.serve(rows.positions, len(positions))
            if progress.has_ended:
                latencies[progress.name] = now - arrivals[int(progress.name)].at
                del running[progress.name]
    return Trace(latencies, tuple(positions), tuple(seconds), now)


@dataclass(frozen=True, slots=True)
class Load:
    """Random requests whose arithmetic takes ``utilization`` of the device's time until the last one arrives.

    Arrivals are a Poisson process, of which a share of ``burst_share`` brings ``burst`` requests at once. Prompts are
    log-normal around ``prompt``. A canvas exits early after a geometric number of steps of mean ``steps``, at the
    latest after one for each position. A share of ``approximate`` has a cache that is refreshed every
    ``refresh_every`` steps.
    """

    name: str
    utilization: float
    burst_share: float = 0.1
    burst: int = 8
    prompt: int = 256
    max_prompt: int = 2048
    max_canvases: int = 8
    canvas_length: int = 32
    steps: int = 10
    approximate: float = 0.25
    refresh_every: int = 8


LOADS = (Load("light", 0.2), Load("busy", 0.6), Load("full", 0.9), Load("full, wide canvases", 0.9, canvas_length=256))
PLACES = 16


def draw(load: Load, requests: int, device: SimulatedDevice, seed: int) -> list[Arrival]:
    """The requests of a load in order of arrival; the same for the same seed."""
    random = np.random.default_rng(seed)
    times: list[float] = []
    at = 0.0
    while len(times) < requests:
        at += random.exponential()
        times += [at] * (load.burst if random.random() < load.burst_share else 1)
    drawn = [Arrival(at, _profile(load, random)) for at in times[:requests]]
    work = sum(position_forwards(arrival.profile) for arrival in drawn) * device.per_position_seconds
    scale = work / load.utilization / drawn[-1].at
    return [replace(arrival, at=arrival.at * scale) for arrival in drawn]


def _profile(load: Load, random: np.random.Generator) -> Profile:
    prompt = min(load.max_prompt, 1 + int(load.prompt * random.lognormal()))
    canvases = int(random.integers(1, load.max_canvases + 1))
    steps = np.minimum(random.geometric(1 / load.steps, canvases), load.canvas_length)
    refresh_every = load.refresh_every if random.random() < load.approximate else None
    return Profile(prompt, (load.canvas_length,) * canvases, tuple(steps.tolist()), refresh_every)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Latencies in seconds; positions of a step; the swing, their coefficient of variation; answer positions a second
    from the first arrival to the last end; and the share of that time for which the device ran.
    """

    load: str
    scheduler: str
    p50_latency: float
    p99_latency: float
    positions_per_step: float
    swing: float
    answer_per_second: float
    device_busy: float


def compare(load: Load, requests: int, seed: int) -> list[Outcome]:
    """One load under both schedulers."""
    device = SimulatedDevice()
    arrivals = draw(load, requests, device, seed)
    schedulers: tuple[Scheduler, ...] = (PhaseMixing(), ArrivalGrouping())
    return [_outcome(load, by, arrivals, simulate(arrivals, by, device, StepBudget(), PLACES)) for by in schedulers]


def _outcome(load: Load, scheduler: Scheduler, arrivals: Sequence[Arrival], trace: Trace) -> Outcome:
    latencies = list(trace.latencies.values())
    span = trace.end - arrivals[0].at
    return Outcome(
        load.name,
        scheduler.name,
        float(np.percentile(latencies, 50)),
        float(np.percentile(latencies, 99)),
        float(np.mean(trace.positions)),
        float(np.std(trace.positions) / np.mean(trace.positions)),
        sum(arrival.profile.answer for arrival in arrivals) / span,
        sum(trace.seconds) / span,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """One Markdown table."""
    rows = [asdict(row) for row in outcomes]
    heads = [name.replace("_", " ") for name in rows[0]]
    cells = [[f"{value:.3g}" if isinstance(value, float) else value for value in row.values()] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *cells])


def main() -> None:
    """Print one table, or with ``--json`` a list of objects."""
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.scheduling.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests", type=int, default=1000, help="of each load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    outcomes = [row for load in LOADS for row in compare(load, options.requests, options.seed)]
    print(json.dumps([asdict(row) for row in outcomes], indent=2) if options.json else table(outcomes))


if __name__ == "__main__":
    main()
