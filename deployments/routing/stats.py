"""Figures as the plain data that Ray Serve's controller polls and hands on to every router."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10
from typing import Any

from deployments.run import Figures

DIGITS = 2


def quantised(figures: Figures) -> Figures:
    """The same with ``DIGITS`` significant digits: whenever figures change, the controller tells everybody of all."""
    return Figures(
        free_places=figures.free_places,
        backlog=int(_rounded(figures.backlog)),
        rate=_rounded(figures.rate),
        refresh_due=tuple(int(_rounded(positions)) for positions in figures.refresh_due),
        prefixes=figures.prefixes,
    )


def stats_of(figures: Figures) -> dict[str, Any]:
    """What ``record_routing_stats`` returns. Refresh work is left out: its steps are over before this is read."""
    rough = quantised(figures)
    return {
        "free_places": rough.free_places,
        "backlog": rough.backlog,
        "rate": rough.rate,
        "prefixes": list(rough.prefixes),
    }


def figures_of(stats: Mapping[str, Any]) -> Figures:
    """The inverse of :func:`stats_of`."""
    return Figures(
        free_places=stats["free_places"],
        backlog=stats["backlog"],
        rate=stats["rate"],
        prefixes=tuple(stats["prefixes"]),
    )


def _rounded(value: float) -> float:
    return float(round(value, DIGITS - 1 - floor(log10(value)))) if value > 0 else 0.0
