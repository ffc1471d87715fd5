"""The gateways, and what they do with a request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployments.section import PositiveInt, Seconds, Section, Share

Router = Literal["phase", "default", "round_robin"]


class GatewayConfig(Section):
    """The replicas of the ingress."""

    replicas: PositiveInt = 1
    """How many there are."""

    cpus: Share = 0.25
    """The CPUs that Ray reserves for each."""

    labels: dict[str, str] = Field(default={})
    """Ray's label selector: the nodes that they may run on."""

    drain_seconds: Seconds = 5.0
    """One that stops takes no more requests, and waits so long for the answers that it is giving."""


class RoutingConfig(Section):
    """How a gateway chooses a replica."""

    router: Router = "phase"
    """``phase`` chooses by predicted wait, due refresh work and cached prefixes; ``default`` and ``round_robin`` are
    Ray Serve's own routers, which know none of these.
    """

    steal_seconds: Seconds = 2.0
    """Between two canvases a request moves when it would wait so much less elsewhere."""


class LimitsConfig(Section):
    """What becomes of the tenants' limits."""

    without_state: Literal["deny", "local", "allow"] = "local"
    """While the state does not answer ``deny`` refuses every request, ``local`` has each gateway count its part of each
    limit, and ``allow`` counts nothing.
    """
