"""Which replicas are stopped when a pool shrinks: those with least work in flight.

Ray Serve chooses by node and age, and offers no way to say otherwise. In the process of its controller the method that
chooses is therefore wrapped. What it needs of Ray is private, so it is asked for first: where Ray has changed, Ray's
own choice stands.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Set
from typing import Any

from ray.serve._private.deployment_scheduler import DeploymentScheduler

logger = logging.getLogger(__name__)

METHOD = "_get_replicas_to_stop"
RUNNING = "_running_replicas"
PARAMETERS = ["self", "deployment_id", "max_num_to_stop", "gang_id_by_replica", "replicas_by_gang_id", "gang_size"]

Order = Callable[[list[str]], list[str]]
"""Replicas by their full ids, those that are best stopped first; of equals, the first stays first."""


def stop_least_busy(order: Order, scheduler: type = DeploymentScheduler) -> bool:
    """From now on stop replicas by ``order``; whether that is possible. To do it again changes nothing."""
    method = getattr(scheduler, METHOD, None)
    if hasattr(method, "__wrapped__"):
        return True
    if method is None or list(inspect.signature(method).parameters) != PARAMETERS:
        logger.warning("Ray Serve has changed: it stops replicas by node and age, whatever they have to do")
        return False
    setattr(scheduler, METHOD, _by_work(method, order))
    return True


def _by_work(method: Callable[..., Set[Any]], order: Order) -> Callable[..., Set[Any]]:
    @functools.wraps(method)
    def chosen(self: Any, deployment_id: Any, max_num_to_stop: int, *gangs: Any, **named_gangs: Any) -> Set[Any]:
        usual = method(self, deployment_id, max_num_to_stop, *gangs, **named_gangs)
        if any(gang is not None for gang in (*gangs, *named_gangs.values())):
            return usual
        try:
            return preferred(usual, list(getattr(self, RUNNING)[deployment_id]), order)
        except Exception:
            logger.exception("replicas are stopped by node and age")
            return usual

    return chosen


def preferred(usual: Set[Any], running: list[Any], order: Order) -> Set[Any]:
    """As many replicas as Ray's ``usual`` choice: of those that run, the first by ``order``; those that do not run yet
    have nothing to do and stay chosen. Of equals, Ray's choice goes first.
    """
    named = {replica.to_full_id_str(): replica for replica in running}
    candidates = sorted(named, key=lambda name: named[name] not in usual)
    count = len(usual & set(running))
    return {*(usual - set(running)), *(named[name] for name in order(candidates)[:count])}
