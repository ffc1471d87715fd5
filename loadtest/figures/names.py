"""The names of the figures that gates can bound."""

from __future__ import annotations

from typing import Literal

Figure = Literal[
    "requests",
    "answered",
    "failed",
    "refused",
    "failed_share",
    "refused_share",
    "good_share",
    "good_share_least",
    "good_per_second",
    "p50_first_commit_seconds",
    "p99_first_commit_seconds",
    "p50_gap_seconds",
    "p99_gap_seconds",
    "p50_seconds",
    "p99_seconds",
    "p50_seconds_per_token",
    "tokens_per_second",
    "tokens_per_forward",
    "steps_per_canvas",
    "stability",
    "p99_queue_seconds",
    "p99_late_seconds",
    "jain",
    "max_lag",
]
