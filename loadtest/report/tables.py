"""The tables of a report, for Markdown and HTML alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from loadtest.figures.summary import Summary
from loadtest.gates.verdict import Verdict
from loadtest.report.report import Report

HEADER = (
    "",
    "requests",
    "answered",
    "refused",
    "failed",
    "good (95 % interval)",
    "good/s",
    "TTFC p50 / p99",
    "IBL p50 / p99",
    "E2E p50 / p99",
    "s/token",
    "tokens/s",
    "tokens/forward",
    "steps/canvas",
)
NOTHING = "-"
"""What a cell has that was not measured."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A ``title``, a header, and rows of as many cells."""

    title: str
    header: Row
    rows: Sequence[Row]


def tables(report: Report) -> Iterator[Table]:
    """Gates first, then figures, then where they come from."""
    results = report.results
    yield Table("Gates", ("gate", "asked for", "seen", ""), list(map(_verdict_row, report.verdicts)))
    yield Table("All requests", HEADER, [_row("all", results.whole)])
    for title, group in (("Tenants", results.tenants), ("Bands", results.bands), ("Kinds", results.kinds)):
        yield Table(title, HEADER, [_row(name, each) for name, each in group.items()])
    yield _pairs("Beside them", _beside(report))
    outcomes = [(name, str(count), results.examples.get(name, "")) for name, count in results.outcomes.items()]
    yield Table("Outcomes", ("outcome", "requests", "for example"), outcomes)
    if report.disturbed:
        rows = [(f"{each.at:.1f} s", " ".join(each.command), str(each.status)) for each in report.disturbed]
        yield Table("Disturbances", ("at", "command", "exit status"), rows)
    yield _pairs("Environment", {name: str(value) for name, value in asdict(report.environment).items()})


def seconds(value: float) -> str:
    """A time as people read it; a dash where nothing was measured."""
    if math.isnan(value):
        return NOTHING
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s"


def number(value: float, digits: int = 2) -> str:
    """A figure without a unit."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def share(value: float) -> str:
    """A share in per cent."""
    return NOTHING if math.isnan(value) else f"{100 * value:.1f} %"


def _verdict_row(verdict: Verdict) -> Row:
    return verdict.gate, verdict.asked, f"{verdict.seen:.4g}", "passed" if verdict.passed else "FAILED"


def _row(name: str, summary: Summary) -> Row:
    counts = (str(each) for each in (summary.requests, summary.answered, summary.refused, summary.failed))
    interval = f"{share(summary.good_share_least)} to {share(summary.good_share_most)}"
    return (
        name,
        *counts,
        f"{share(summary.good_share)} ({interval})",
        number(summary.good_per_second),
        f"{seconds(summary.p50_first_commit_seconds)} / {seconds(summary.p99_first_commit_seconds)}",
        f"{seconds(summary.p50_gap_seconds)} / {seconds(summary.p99_gap_seconds)}",
        f"{seconds(summary.p50_seconds)} / {seconds(summary.p99_seconds)}",
        seconds(summary.p50_seconds_per_token),
        number(summary.tokens_per_second, 1),
        number(summary.tokens_per_forward),
        number(summary.steps_per_canvas, 1),
    )


def _beside(report: Report) -> Mapping[str, str]:
    whole, fairness = report.results.whole, report.results.fairness
    return {
        "sent later than intended, p99": seconds(whole.p99_late_seconds),
        "wait for a place, p99": seconds(whole.p99_queue_seconds),
        "canvas characters that stayed": share(whole.stability),
        "Jain's index of work per weight": number(fairness.jain, 3),
        "furthest lag of the queues": NOTHING if fairness.max_lag is None else f"{fairness.max_lag:.0f} work units",
        "work per weight": ", ".join(f"{name} {work:.0f}" for name, work in fairness.services.items()),
    }


def _pairs(title: str, pairs: Mapping[str, str]) -> Table:
    return Table(title, ("", ""), list(pairs.items()))
