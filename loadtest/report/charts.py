"""The charts of a report, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from loadtest.figures.sample import Sample
from loadtest.figures.summary import is_good
from loadtest.report.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOWS = 60
"""How many parts the time of a chart is cut into."""


def charts(report: Report) -> Iterator[tuple[str, str]]:
    """The title and the SVG of each: what was asked for and answered well, the latencies by time, and how they are
    distributed.
    """
    drawings: tuple[tuple[str, Callable[[Axes, Report], None]], ...] = (
        ("Requests a second", _rates),
        ("Latency from the intended start", _latencies),
        ("Share of the answers that took no longer", _distribution),
    )
    for title, draw in drawings:
        yield title, _svg(draw, report)


def _svg(draw: Callable[[Axes, Report], None], report: Report) -> str:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    # Ids from a given salt and no date: the same report gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": report.digest, "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(figsize=(8, 3))
        draw(axes, report)
        figure.tight_layout()
        drawn = StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    return drawn.getvalue().partition("<svg")[1] + drawn.getvalue().partition("<svg")[2]


def _rates(axes: Axes, report: Report) -> None:
    scenario = report.scenario
    width = scenario.load_seconds / WINDOWS
    edges = [place * width for place in range(WINDOWS)]
    good = [sample.due for sample in report.samples if is_good(sample, scenario.objectives)]
    for name, moments in (("asked for", [sample.due for sample in report.samples]), ("good", good)):
        axes.step(edges, _counts(moments, width), where="post", label=name)
    axes.axvspan(0, scenario.warm_up_seconds, color="grey", alpha=0.15, linewidth=0)
    for each in report.disturbed:
        axes.axvline(each.at, color="red", linestyle=":")
    axes.set_xlabel("intended start, seconds")
    axes.legend(frameon=False)


def _counts(moments: Sequence[float], width: float) -> list[float]:
    counts = [0.0] * WINDOWS
    for moment in moments:
        counts[min(WINDOWS - 1, int(moment / width))] += 1 / width
    return counts


def _latencies(axes: Axes, report: Report) -> None:
    answered = _answered(report)
    first = [(sample.due, sample.first_commit) for sample in answered if sample.first_commit is not None]
    whole = [(sample.due, sample.seconds) for sample in answered]
    for name, points in (("end", whole), ("first commit", first)):
        axes.plot([x for x, _ in points], [y for _, y in points], ".", markersize=3, label=name)
    axes.set_xlabel("intended start, seconds")
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)


def _distribution(axes: Axes, report: Report) -> None:
    answered = _answered(report)
    for kind in sorted({sample.kind for sample in answered}):
        ordered = sorted(sample.seconds for sample in answered if sample.kind == kind)
        axes.step(ordered, [(place + 1) / len(ordered) for place in range(len(ordered))], where="post", label=kind)
    axes.set_xlabel("seconds")
    axes.set_ylim(0, 1.02)
    if answered:
        axes.legend(frameon=False)


def _answered(report: Report) -> list[Sample]:
    return [sample for sample in report.samples if sample.is_answered and sample.is_measured]
