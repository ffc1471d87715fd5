"""What of the configuration Ray Serve's autoscaler is told: bounds, and which policy to ask."""

from __future__ import annotations

import warnings
from typing import Any

from ray.serve.config import AutoscalingConfig as ServeAutoscaling
from ray.serve.config import AutoscalingPolicy

from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.sample import PoolSpec
from deployments.autoscaling.trace import spec_line

LOOK_BACK_INTERVALS = 2.0
"""Ray averages the requests in its queues over so many intervals; it wants more than one."""


def pool_autoscaling(application: str, config: AutoscalingConfig, spec: PoolSpec) -> ServeAutoscaling:
    """Of a pool between its bounds."""
    return _autoscaling("PoolPolicy", application, config, spec.least, spec.most, spec=spec_line(spec))


def gateway_autoscaling(application: str, config: AutoscalingConfig, replicas: int) -> ServeAutoscaling:
    """Of so many gateways: Ray Serve passes on what they report, as it does for deployments that it scales only."""
    return _autoscaling("GatewayPolicy", application, config, replicas, replicas)


def _autoscaling(
    policy: str, application: str, config: AutoscalingConfig, least: int, most: int, **more: Any
) -> ServeAutoscaling:
    """Ray's own delays are none: how long something has to be wanted is the decision's."""
    known = {"application": application, "autoscaling": config.model_dump(mode="json"), **more}
    with warnings.catch_warnings():
        # The variables that are to take the place of this field are read nowhere yet.
        warnings.filterwarnings("ignore", "The `metrics_interval_s` field", DeprecationWarning)
        return ServeAutoscaling(
            min_replicas=least,
            max_replicas=most,
            metrics_interval_s=config.interval_seconds,
            look_back_period_s=LOOK_BACK_INTERVALS * config.interval_seconds,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            downscale_to_zero_delay_s=0.0,
            policy=AutoscalingPolicy(policy_function=f"deployments.autoscaling.adapter:{policy}", policy_kwargs=known),
        )
