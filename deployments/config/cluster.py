"""The whole tree, and the file that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from deployments.autoscaling.config import AutoscalingConfig
from deployments.config.gateway import GatewayConfig, LimitsConfig, RoutingConfig
from deployments.config.listening import AdminConfig, GrpcConfig, HttpConfig
from deployments.config.models import ModelConfig
from deployments.config.ray import LOCAL_RAY_ADDRESSES, RayConfig
from deployments.config.state import EMBEDDED, StateConfig
from deployments.document import load_document
from deployments.section import Name, Section, refuse_repetition
from deployments.telemetry.config import TelemetryConfig
from deployments.tenancy.declared import KeyConfig, TenantConfig, refuse_ambiguity


class ClusterConfig(Section):
    """A whole cluster. The default serves the embedded models to this machine.

    Without any key the cluster is in development mode: one key, made at start-up, for the tenant ``dev``.
    """

    name: Name = "dllm"
    """The name of the cluster, and of its application in Ray Serve."""

    http: HttpConfig = HttpConfig()
    """Where the gateways listen for HTTP, and what they take."""

    grpc: GrpcConfig = GrpcConfig()
    """Where the gateways listen for gRPC."""

    admin: AdminConfig = AdminConfig()
    """Where the operator's endpoints listen, and what opens them."""

    limits: LimitsConfig = LimitsConfig()
    """What becomes of the tenants' limits while the state does not answer."""

    state: StateConfig = StateConfig()
    """Where the state of requests is kept."""

    gateway: GatewayConfig = GatewayConfig()
    """The replicas of the ingress."""

    routing: RoutingConfig = RoutingConfig()
    """How a gateway chooses a replica."""

    autoscaling: AutoscalingConfig = AutoscalingConfig()
    """How the work of replicas is reported and decided upon, for pools with ``max_replicas``."""

    telemetry: TelemetryConfig = TelemetryConfig()
    """What the cluster tells of itself, and where."""

    keys: list[KeyConfig] = Field(default=[])
    """The declared API keys."""

    tenants: list[TenantConfig] = Field(default=[])
    """What holds for the declared tenants; one that only a key names has the defaults."""

    tenancy_file: str | None = Field(default=None, min_length=1)
    """The path of a YAML file with further ``tenants`` and ``keys``, as a mounted secret. It is read again when it
    changes.
    """

    models: list[ModelConfig] = Field(
        default=[
            ModelConfig(id="tiny-code", checkpoint="embedded:tiny-code"),
            ModelConfig(id="tiny-sudoku", checkpoint="embedded:tiny-sudoku"),
        ],
        min_length=1,
    )
    """The models served."""

    ray: RayConfig = RayConfig()
    """How the cluster uses Ray."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        refuse_repetition("models", [model.id for model in self.models])
        refuse_ambiguity(self.tenants, self.keys)
        return self

    @model_validator(mode="after")
    def _decisions_are_kept_long_enough(self) -> Self:
        """A pool shrinks only when that has been wanted for all of its window."""
        scaled = [pool.scaling for model in self.models for pool in model.pools if pool.max_replicas is not None]
        longest = max((scaling.longest_window for scaling in scaled), default=0.0)
        if self.autoscaling.history_seconds < longest:
            raise ValueError(f"autoscaling.history_seconds: a pool's scaling looks back {longest:g} s")
        return self

    @model_validator(mode="after")
    def _state_is_within_reach(self) -> Self:
        if self.state.url == EMBEDDED and self.ray.address not in LOCAL_RAY_ADDRESSES:
            raise ValueError("state.url: the embedded server serves this machine only, and ray.address names another")
        return self


def load_config(path: Path | None = None) -> ClusterConfig:
    """The configuration in the YAML file ``path``, or the default. Raises :class:`ConfigError`."""
    return ClusterConfig() if path is None else load_document(path, ClusterConfig)
