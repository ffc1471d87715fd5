"""The configuration of a cluster: one typed YAML tree, the same on a laptop and in production.

Each key has its meaning beneath it, from which the reference and the schema are made. An unknown key or a bad value is
refused with its full path, as in ``models.0.pools.0.replicaz: unknown key``.
"""

from __future__ import annotations

from deployments.config.cluster import ClusterConfig, load_config
from deployments.config.gateway import GatewayConfig, LimitsConfig, Router, RoutingConfig
from deployments.config.listening import ADMIN_KEY_LENGTH, AdminConfig, GrpcConfig, HttpConfig
from deployments.config.models import Device, Dtype, ModelConfig, SimulationConfig
from deployments.config.pools import EVERY_SIZE, AcceleratorConfig, CanvasSizes, Phase, PoolConfig
from deployments.config.ray import LOCAL_RAY_ADDRESSES, RayConfig, Serving
from deployments.config.state import EMBEDDED, StateConfig

__all__ = [
    "ADMIN_KEY_LENGTH",
    "EMBEDDED",
    "EVERY_SIZE",
    "LOCAL_RAY_ADDRESSES",
    "AcceleratorConfig",
    "AdminConfig",
    "CanvasSizes",
    "ClusterConfig",
    "Device",
    "Dtype",
    "GatewayConfig",
    "GrpcConfig",
    "HttpConfig",
    "LimitsConfig",
    "ModelConfig",
    "Phase",
    "PoolConfig",
    "RayConfig",
    "Router",
    "RoutingConfig",
    "Serving",
    "SimulationConfig",
    "StateConfig",
    "load_config",
]
