"""Where the state of requests is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from deployments.section import PositiveInt, Seconds, Section
from deployments.state.address import StateAddress

EMBEDDED = "embedded"
"""The value of ``state.url`` for a Valkey server that the cluster starts and stops itself."""


def _state_url(url: str) -> str:
    if url != EMBEDDED:
        StateAddress.parse(url)
    return url


class StateConfig(Section):
    """Where the state of requests is kept, and for how long."""

    url: Annotated[str, AfterValidator(_state_url)] = EMBEDDED
    """``embedded`` for a Valkey server that is started and stopped with the cluster, or the URL of a server, of a
    primary behind sentinels, or of a cluster.
    """

    ttl_seconds: PositiveInt = 86_400
    """What is kept of a request expires so long after its last change."""

    lease_seconds: Seconds = 15.0
    """A gateway that is silent for so long loses its stored requests to the others."""
