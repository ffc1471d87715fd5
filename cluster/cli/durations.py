"""Times as they are typed."""

from __future__ import annotations

import re

import typer

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
DURATION = re.compile(r"(\d{1,9})([smhd])")


def duration(text: str) -> float:
    """``90s``, ``15m``, ``12h`` or ``30d`` in seconds."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter("a time is a number with s, m, h or d, as 12h")
    return float(match[1]) * SECONDS[match[2]]
