"""What came of the flood, and whether it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.figures.statistics import percentile
from loadtest.malformed.tenants import QUIET

MOST_GROWTH = 1.15
"""What a process may have afterwards, as a share of what it had when it was warm. Heaps that are in use by now and then
a mebibyte are some megabytes larger at one time than at another."""

MOST_WITHOUT_STATE = 0.005
"""The share of the requests that may be told that Redis did not answer in time."""

MOST_WITH_CONNECTIONS = 0.001
"""The share of the requests that may end with connections that have reached their age."""


@dataclass
class Phase:
    """What the steady tenant met: latencies in seconds from the intended start, and how often it was told what."""

    latencies: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """The latency that ``share`` of the requests did not exceed."""
        return percentile(self.latencies, share)


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
    with_their_connections: int
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
        if self.with_their_connections > MOST_WITH_CONNECTIONS * self.requests:
            found.append(f"{self.with_their_connections} calls ended with their connections")
        for name, (before, after) in self.mebibytes.items():
            if after > self.most_growth * before:
                found.append(f"{name} grew from {before:.0f} to {after:.0f} MiB")
        for phase, told in self.told.items():
            found += [f"{QUIET} {phase}: {count} times {what}" for what, count in told.items() if what != "as expected"]
        return found


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
        lines.append(f"{QUIET} {name:18} p50 {latencies['p50']:.3f} s, p99 {latencies['p99']:.3f} s of {counts}")
    return "\n".join([*lines, *(f"BREACH: {breach}" for breach in report.breaches())])
