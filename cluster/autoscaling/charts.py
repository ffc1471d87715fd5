"""Courses as pictures: in the terminal, and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import plotext

from cluster.autoscaling.course import Course
from cluster.autoscaling.panels import panels

MARKERS = ("hd", "x", "o", "+")
PANEL_ROWS = 12


def terminal_chart(courses: Sequence[Course], columns: int, *, colours: bool) -> str:
    """A picture of so many columns of characters, for a person."""
    shown = panels(courses)
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(width=False, height=False)
    figure.plot_size(columns, PANEL_ROWS * len(shown))
    figure.subplots(len(shown), 1)
    for row, panel in enumerate(shown, start=1):
        plot = figure.subplot(row, 1)
        plot.title(panel.title)
        for line, marker in zip(panel.lines, cycle(MARKERS), strict=False):
            if line.times:
                signal = plot.signal(list(line.times), list(line.values), marker=marker)
                signal.label(line.label)
                plot.draw(signal)
    picture = str(figure.build())
    return picture if colours else "\n".join(line.rstrip() for line in plotext.uncolorize(picture).splitlines())


def save_chart(courses: Sequence[Course], file: Path) -> None:
    """The same as a PNG. Raises :class:`OSError` when the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes a second, and most commands need no picture
    from matplotlib.figure import Figure

    shown = panels(courses)
    figure = Figure(figsize=(8, 2 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    for plot, panel in zip(figure.subplots(len(shown), 1, sharex=True), shown, strict=True):
        for line in panel.lines:
            style = "steps-post" if panel.is_stepped else "default"
            plot.plot(line.times, line.values, label=line.label, drawstyle=style, linewidth=1)
        plot.set_ylabel(panel.title)
        plot.grid(alpha=0.3)
    plot.set_xlabel("seconds")
    figure.axes[0].legend(fontsize="small")
    figure.savefig(file, format="png", dpi=80)
