"""What a running cluster says of itself over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cluster.runtime import RunningCluster
from deployments.state.address import redact

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """``models`` says of each whether a replica answers; the cluster is ready when one does."""

    ready: bool
    base_url: str
    models: Mapping[str, bool]
    state_url: str
    state_pid: int | None
    pid: int
    access_log: str | None


def inquire(running: RunningCluster) -> ClusterStatus:
    """Ask the gateway. One that does not answer is not ready."""
    models: Mapping[str, bool] = {}
    if running.ready:
        with contextlib.suppress(OSError, http.client.HTTPException):
            models = json.loads(_get(running, "/health/ready")).get("models", {})
    return ClusterStatus(
        ready=bool(models),
        base_url=running.base_url,
        models=models,
        state_url=redact(running.state_url),
        state_pid=running.state_pid,
        pid=running.pid,
        access_log=running.access_log,
    )


def render(status: ClusterStatus) -> str:
    """The status for a person."""
    models = [f"{name} ({'ready' if ready else 'not ready'})" for name, ready in status.models.items()]
    server = f" (embedded, process {status.state_pid})" if status.state_pid else ""
    return "\n".join(
        (
            f"{status.base_url} is {'ready' if status.ready else 'not ready'}.",
            f"  models   {', '.join(models) or 'none ready'}",
            f"  state    {status.state_url}{server}",
            f"  process  {status.pid}",
            f"  requests {status.access_log or 'on the error output of each gateway'}",
        )
    )


def _get(running: RunningCluster, path: str) -> bytes:
    place = urlsplit(running.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
