"""What the headers of an answer, or of a refusal, say of the tenant's limits. Pure."""

from __future__ import annotations

import math

from deployments.errors import ServingError
from deployments.tenancy.limits.limiter import Level, Levels

HEADERS = {"requests_per_minute": "requests", "tokens_per_minute": "tokens", "work_per_minute": "work"}
"""The limits that headers tell of, and their names there: the first two are OpenAI's."""

DEGRADED = "x-dllm-degraded"


def headers_of(levels: Levels) -> dict[str, str]:
    """What is left of the limits per minute; ``x-dllm-degraded: limits`` unless all gateways count together."""
    headers = {}
    for name, told in HEADERS.items():
        level = levels.by_limit.get(name)
        if level is not None:
            headers[f"x-ratelimit-limit-{told}"] = str(level.limit)
            headers[f"x-ratelimit-remaining-{told}"] = str(level.remaining)
            headers[f"x-ratelimit-reset-{told}"] = duration(level.reset_seconds)
    return headers if levels.mode == "shared" else {**headers, DEGRADED: "limits"}


def headers_of_refusal(error: ServingError) -> dict[str, str]:
    """The same for what a limiter raised; nothing for any other error."""
    levels = {name: Level(**level) for name, level in error.details.get("limits", {}).items()}
    return headers_of(Levels(levels, error.details.get("limits_mode", "shared")))


def duration(seconds: float) -> str:
    """As OpenAI writes it: ``12ms`` below a second, else hours, minutes and seconds as in ``1h2m3s``; rounded up."""
    milliseconds = math.ceil(round(seconds * 1000, 3))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
