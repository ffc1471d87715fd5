"""How much is kept of what has changed."""

from __future__ import annotations

CHANGES = 1000
"""A reader that is further behind is told that it has missed some."""
