"""How the cluster uses Ray."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployments.section import Section

Serving = Literal["default", "throughput", "haproxy"]

LOCAL_RAY_ADDRESSES = (None, "auto")


class RayConfig(Section):
    """How the cluster uses Ray."""

    address: str | None = Field(default=None, min_length=1)
    """``auto``, ``ray://host:port`` or ``host:port`` joins a cluster; null starts Ray on this machine."""

    dashboard: bool = False
    """Whether a Ray that is started here has its dashboard."""

    serving: Serving = "default"
    """The way from the socket to the gateway: Ray Serve's own proxy (``default``), the same without its threads and
    with gRPC between processes (``throughput``), or HAProxy in its place besides (``haproxy``).
    """
