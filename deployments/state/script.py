"""A script that the server runs in one piece."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """``op`` names what it is for, to who measures it."""

    op: str
    text: str
