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

from dllm_worker.scheduling.planner import Demand, PlannedRows, StepBudget, StepKind, plan


@dataclass(frozen=True, slots=True)
class Device:
    """Seconds of one pass: arithmetic, linear in positions, or reading the weights once if that takes longer.

    The defaults are about those of an 8B model in BF16 on an H100: 16 GB at 3.35 TB/s, 16 GFLOP a position at
    400 TFLOP/s.
    """

    floor: float = 4.8e-3
    per_position: float = 4e-5
    per_segment: float = 2e-5

    def seconds(self, positions: int, segments: int) -> float:
        return max(self.floor, positions * self.per_position) + segments * self.per_segment


@dataclass(frozen=True, slots=True)
class Profile:
    """What a request will need: ``steps[i]`` denoising steps for its i-th canvas.

    Without ``refresh_every`` the cache is exact: the prompt is prefilled in pieces and every canvas but the last is
    committed. With it the whole sequence is computed anew at the start of a canvas and after that many steps.
    """

    arrival: float
    prompt: int
    canvas_length: int
    steps: tuple[int, ...]
    refresh_every: int | None = None

    @property
    def answer(self) -> int:
        """Positions of all its canvases."""
        return len(self.steps) * self.canvas_length


@dataclass(slots=True)
class Progress:
    """How far a request is: ``step`` of ``canvas``, with ``cached`` positions of an exact cache."""

    name: str
    profile: Profile
    waited_since: int = 0
    canvas: int = 0
    step: int = 0
    cached: int = 0

    @property
    def has_ended(self) -> bool:
        return self.canvas == len(self.profile.steps)

    @property
    def kind(self) -> StepKind:
        every = self.profile.refresh_every
        if every is not None:
            return StepKind.REUSE if self.step % every else StepKind.REFRESH
        if not self._uncached:
            return StepKind.REUSE
        return StepKind.COMMIT if self.canvas else StepKind.PREFILL

    @property
    def demand(self) -> Demand:
        kind, length = self.kind, self.profile.canvas_length
        if kind is StepKind.PREFILL:
            first = min(length, self._uncached)
            return Demand(self.name, kind, self._uncached, first, length, self.waited_since)
        whole = self.profile.prompt + self.profile.answer
        positions = {StepKind.REUSE: length, StepKind.COMMIT: self._uncached, StepKind.REFRESH: whole}[kind]
        return Demand(self.name, kind, positions, positions, 0, self.waited_since)

    @property
    def stage(self) -> tuple[int, int]:
        """The canvas and the pass within it; the pass that opens a canvas, of any kind, is the first."""
        opens = self.profile.refresh_every is None and self.kind is StepKind.REUSE
        return self.canvas, self.step + opens

    def serve(self, positions: int, number: int) -> None:
        """Take the rows of step ``number``."""
        self.waited_since = number
        if self.kind in (StepKind.PREFILL, StepKind.COMMIT):
            self.cached += positions
            return
        self.step += 1
        if self.step == self.profile.steps[self.canvas]:
            self.canvas, self.step = self.canvas + 1, 0

    @property
    def _uncached(self) -> int:
        return self.profile.prompt + self.canvas * self.profile.canvas_length - self.cached


def position_forwards(profile: Profile) -> int:
    """All that a request evaluates; no scheduler changes it."""
    progress, total = Progress("", profile), 0
    while not progress.has_ended:
        positions = progress.demand.positions
        progress.serve(positions, 0)
        total += positions
    return total


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
    profiles: Sequence[Profile], scheduler: Scheduler, device: Device, budget: StepBudget, places: int
) -> Trace:
    """Run the requests, given in order of arrival, to their ends, at most ``places`` at a time."""
    waiting = deque(Progress(str(i), profile) for i, profile in enumerate(profiles))
    running: dict[str, Progress] = {}
    latencies: dict[str, float] = {}
    positions: list[int] = []
    seconds: list[float] = []
    now = 0.0
    while waiting or running:
        if not running:
            now = max(now, waiting[0].profile.arrival)
        for _ in range(scheduler.joining(len(running), places)):
            if waiting and waiting[0].profile.arrival <= now:
                joined = waiting.popleft()
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
                latencies[progress.name] = now - progress.profile.arrival
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


def draw(load: Load, requests: int, device: Device, seed: int) -> list[Profile]:
    """The requests of a load in order of arrival; the same for the same seed."""
    random = np.random.default_rng(seed)
    arrivals: list[float] = []
    at = 0.0
    while len(arrivals) < requests:
        at += random.exponential()
        arrivals += [at] * (load.burst if random.random() < load.burst_share else 1)
    drawn = [_profile(load, arrival, random) for arrival in arrivals[:requests]]
    work = sum(position_forwards(profile) for profile in drawn) * device.per_position
    scale = work / load.utilization / drawn[-1].arrival
    return [replace(profile, arrival=profile.arrival * scale) for profile in drawn]


def _profile(load: Load, arrival: float, random: np.random.Generator) -> Profile:
    prompt = min(load.max_prompt, 1 + int(load.prompt * random.lognormal()))
    canvases = int(random.integers(1, load.max_canvases + 1))
    steps = np.minimum(random.geometric(1 / load.steps, canvases), load.canvas_length)
    refresh_every = load.refresh_every if random.random() < load.approximate else None
    return Profile(arrival, prompt, load.canvas_length, tuple(steps.tolist()), refresh_every)


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
    device = Device()
    profiles = draw(load, requests, device, seed)
    schedulers: tuple[Scheduler, ...] = (PhaseMixing(), ArrivalGrouping())
    return [_outcome(load, by, profiles, simulate(profiles, by, device, StepBudget(), PLACES)) for by in schedulers]


def _outcome(load: Load, scheduler: Scheduler, profiles: Sequence[Profile], trace: Trace) -> Outcome:
    latencies = list(trace.latencies.values())
    span = trace.end - profiles[0].arrival
    return Outcome(
        load.name,
        scheduler.name,
        float(np.percentile(latencies, 50)),
        float(np.percentile(latencies, 99)),
        float(np.mean(trace.positions)),
        float(np.std(trace.positions) / np.mean(trace.positions)),
        sum(profile.answer for profile in profiles) / span,
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
