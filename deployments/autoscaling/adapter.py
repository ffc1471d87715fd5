"""The policies that Ray Serve asks in its controller, again and again: each asks the conductor of its application.

What a policy raises stops Ray Serve's control loop for all applications, and what it waits for stops it as long. So
these raise nothing and wait for nothing; a pool of which nothing can be said stays as it is.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from ray.serve.config import AutoscalingContext

from deployments.autoscaling.conductors import conductor_of, least_busy
from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.observe import PoolSight, numbers_of, queues_of, report_of
from deployments.autoscaling.trace import read_trace
from deployments.autoscaling.victims import stop_least_busy

logger = logging.getLogger(__name__)

HEAR_SECONDS = 0.5
"""Between two looks at what the gateways report."""

Json = Mapping[str, Any]
Answer = tuple[int, dict[str, Any]]


class PoolPolicy:
    """Of a pool. ``spec`` is its line in a trace, ``autoscaling`` the configuration of the application."""

    def __init__(self, application: str, autoscaling: Json, spec: str) -> None:
        self._name, self._complained = "", False
        try:
            (self._name, pool), *_ = read_trace([spec]).specs.items()
            stop_least_busy(least_busy)
            self._conductor = conductor_of(application, AutoscalingConfig.model_validate(autoscaling))
            token = self._conductor.register(pool)
            # Ray does not say that a deployment is gone; it lets go of its policy.
            weakref.finalize(self, self._conductor.forget, self._name, token)
        except Exception:
            logger.exception("pool %s stays as it is", self._name)

    def __call__(self, context: AutoscalingContext) -> Answer:
        """How many replicas the pool shall have."""
        wanted = None
        try:
            present = context.target_num_replicas
            wanted = self._conductor.target(self._name, present, lambda: sight_of(context), time.time())
            self._complained = False
        except Exception:
            if not self._complained:
                logger.exception("pool %s stays as it is", self._name)
            self._complained = True
        return context.target_num_replicas if wanted is None else wanted, {}


class GatewayPolicy:
    """Of the gateways, whose number is fixed: it passes on what they report."""

    def __init__(self, application: str, autoscaling: Json) -> None:
        self._heard_at, self._complained = 0.0, False
        try:
            self._conductor = conductor_of(application, AutoscalingConfig.model_validate(autoscaling))
        except Exception:
            logger.exception("nothing is known of the queues of %s", application)

    def __call__(self, context: AutoscalingContext) -> Answer:
        """As many as there are."""
        now = time.time()
        if not 0 <= now - self._heard_at < HEAR_SECONDS:
            self._heard_at = now
            try:
                told = numbers_of(last_points(context.raw_metrics or {}))
                self._conductor.hear({gateway: queues_of(numbers) for gateway, numbers in told.items()})
                self._complained = False
            except Exception:
                if not self._complained:
                    logger.exception("what the gateways report of their queues is not heard")
                self._complained = True
        return context.target_num_replicas, {}


def sight_of(context: AutoscalingContext) -> PoolSight:
    """What Ray Serve says of a pool's deployment."""
    told = numbers_of(last_points(context.raw_metrics or {}))
    names = [replica.to_full_id_str() for replica in context.running_replicas]
    return PoolSight(
        replicas={name: report_of(told[name]) if name in told else None for name in names},
        target=context.target_num_replicas,
        least=context.capacity_adjusted_min_replicas,
        most=context.capacity_adjusted_max_replicas,
        queued=max(0, ceil(context.total_queued_requests or 0.0)),
    )


def last_points(metrics: Mapping[str, Mapping[Any, Sequence[Any]]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Time and value of the last point of each metric and replica, by their names."""
    return {
        metric: {
            replica.to_full_id_str(): (points[-1].timestamp, points[-1].value)
            for replica, points in by_replica.items()
            if points
        }
        for metric, by_replica in metrics.items()
    }
