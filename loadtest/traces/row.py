"""A request of a recorded trace."""

from __future__ import annotations

from dataclasses import dataclass


class TraceError(ValueError):
    """A trace cannot be read; the message begins with the file and the line."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """It came ``at`` so many seconds after the first one."""

    at: float
    prompt_tokens: int
    answer_tokens: int
