"""The routers that Ray Serve can be given, by their names in the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from ray import cloudpickle
from ray._common.utils import import_attr
from ray.serve._private.constants import DEFAULT_REQUEST_ROUTER_PATH
from ray.serve.config import RequestRouterConfig

from deployments.config import Router

ROUTERS: Mapping[Router, str] = {
    "phase": "deployments.routing.ray_router:PhaseRouter",
    "default": DEFAULT_REQUEST_ROUTER_PATH,
    "round_robin": "ray.serve.experimental.round_robin_router:RoundRobinRouter",
}


def router_settings(router: Router, **options: float) -> RequestRouterConfig:
    """``router``, with ``options`` of Ray Serve.

    Serve carries the class of a router by value in the settings of each replica, and its own makes them 110 KB. Ray
    answers a call with at most 100 KB; what is larger stays in the object store of the replica's node. After the loss
    of the head the new controller asks every replica for its settings, and kills those from which it has none within
    30 s, which is sooner than the nodes' object stores find the new head. So here a class is carried as its name.
    """
    settings = RequestRouterConfig(request_router_class=ROUTERS[router], **options)
    settings.set_serialized_request_router_cls(cloudpickle.dumps(import_attr(ROUTERS[router])))
    return settings
