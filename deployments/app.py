"""The Ray Serve application: gateways, and for each model its pools of workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, HTTPOptions, gRPCOptions
from ray.serve.handle import DeploymentHandle

from deployments.autoscaling.deployed import gateway_autoscaling, pool_autoscaling
from deployments.autoscaling.journal import RaySegments
from deployments.autoscaling.measures import pool_name
from deployments.autoscaling.policies.named import policy_named
from deployments.autoscaling.sample import PoolSpec
from deployments.config import ClusterConfig, GatewayConfig, GrpcConfig, ModelConfig, PoolConfig
from deployments.document import ConfigError
from deployments.execution.settings import ExecutionSettings
from deployments.gateway.actor_classes import import_actor_classes
from deployments.gateway.admin.app import create_admin_app
from deployments.gateway.admin.server import serve_admin
from deployments.gateway.app import Service, create_app, create_gateway, new_owner
from deployments.gateway.backing import shared_on
from deployments.gateway.grpc.calls import Calls
from deployments.gateway.grpc.methods import GrpcMethods
from deployments.gateway.grpc.services import SERVICER_FUNCTIONS
from deployments.gateway.load import GatewayLoad, counted
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.shared import queue_name
from deployments.loopback import listen_to_this_machine
from deployments.pools.pool_set import Member, PoolSet, class_of
from deployments.pools.ray_pool import RayPool
from deployments.replica.worker import Worker
from deployments.routing.routers import router_settings
from deployments.state.connect import clients_at
from deployments.telemetry.access_log import access_log_of
from deployments.telemetry.collection import Collection
from deployments.telemetry.logs import log_lines
from deployments.telemetry.named_tenants import NamedTenants
from deployments.telemetry.observation import Telemetry
from deployments.telemetry.process import expose_gateway
from deployments.telemetry.prometheus import process_metrics
from deployments.telemetry.targets import RayTargets
from deployments.telemetry.tracing import GATEWAY, INSTANCE, tracing_of
from deployments.tenancy.declared import declared_of
from deployments.tenancy.directory.reconcile import keep_reconciled, reconcile
from deployments.tenancy.file import TenancyFile, follow, load_declared
from deployments.tenancy.verification import Verifier
from dllm_worker.models.checkpoint import ModelDescription, describe, resolve_checkpoint
from dllm_worker.text import Text

if TYPE_CHECKING:
    from deployments.gateway.shared import Shared
    from deployments.tenancy.directory.directory import Declared

GATEWAY_ONGOING_REQUESTS = 4096
"""The engines' queues bound the requests in flight; this only has to be higher than they are together."""

SHUTDOWN_SECONDS = 5.0
"""Of a replica, which parks what it runs between two steps."""

WORKER_HEALTH_PERIOD_SECONDS = 1.0
WORKER_HEALTH_TIMEOUT_SECONDS = 3.0
"""Serve replaces a replica after three failed checks. Until then a hung one holds its accelerator, though the gateways
have left it; by default that is a minute and a half. A check is a flag read on a loop that never computes."""

ROUTING_STATS_SECONDS = 2.0
"""Between two looks of the controller at a replica's figures; those of a busy one come with its messages."""

Workers = Mapping[str, Mapping[str, DeploymentHandle]]
"""Handles by model and pool."""


@serve.ingress()
class Gateway(GrpcMethods):
    """The ingress in a Ray Serve replica: REST and gRPC, and beside them the operator's endpoints."""

    def __init__(self, config: ClusterConfig, state_url: str, workers: Workers) -> None:
        listen_to_this_machine()
        import_actor_classes()
        log_lines()
        self._config = config
        models = {model.id: _serve_model(config, model, workers[model.id]) for model in config.models}
        owner = new_owner()
        tracing = tracing_of(config.telemetry.traces, GATEWAY, {INSTANCE: owner})
        tenants = NamedTenants(config.telemetry.named_tenants)
        telemetry = Telemetry(process_metrics(), tracing.tracer, tenants, access_log_of(config.telemetry.access_log))
        backing = shared_on(clients_at(state_url, telemetry=telemetry), config, models, owner, telemetry.metrics)
        # Nobody asks how many wait for pools whose size is fixed.
        scaled = {model.id: models[model.id] for model in config.models if model.is_scaled}
        shared, queues = counted(scaled, backing.shared)
        directory = shared.directory
        self._verifier = Verifier(directory, declarations(config, time.time()), time.time)
        settings = GatewaySettings(
            version=version("dllm-cluster"),
            max_body_bytes=config.http.max_body_bytes,
            keep_alive_seconds=config.http.keep_alive_seconds,
            refuse_unknown_parameters=config.http.refuse_unknown_parameters,
            execution=ExecutionSettings(lease_seconds=config.state.lease_seconds),
        )
        self._gateway = create_gateway(models, shared, telemetry, settings, owner=owner)
        self._load = GatewayLoad(queues, self._gateway.executions.objectives, time.time)
        self.calls = Calls(self._gateway, self._verifier)
        self._services: tuple[Service, ...] = (
            *backing.services,
            tracing.keep,
            partial(keep_reconciled, directory, lambda: self._verifier.declared),
            expose_gateway,
            self._load.serve,
            *_administration(config, shared),
            *_following(config, self._declare),
        )
        self._checks = (backing.check,)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._gateway, self._verifier, self._services, self._checks)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Ray Serve, which hands the figures to the autoscaler."""
        return self._load.numbers

    async def _declare(self) -> None:
        """Take over what is declared from the file, which has changed."""
        self._verifier.declare(declarations(self._config, time.time()))
        await reconcile(self._gateway.shared.directory, self._verifier.declared)


def declarations(config: ClusterConfig, now: float) -> Declared:
    """The tenants and keys that the configuration and its ``tenancy_file`` name. Raises :class:`ConfigError`."""
    further = load_declared(Path(config.tenancy_file)) if config.tenancy_file else TenancyFile()
    try:
        return declared_of([*config.tenants, *further.tenants], [*config.keys, *further.keys], now)
    except ValueError as error:
        raise ConfigError(f"{config.tenancy_file}: {error}") from error


def _following(config: ClusterConfig, declare: Service) -> tuple[Service, ...]:
    return (partial(follow, Path(config.tenancy_file), declare),) if config.tenancy_file else ()


def _administration(config: ClusterConfig, shared: Shared) -> tuple[Service, ...]:
    """The operator's endpoints; without a key, which the start of a cluster makes, nobody could open them."""
    admin = config.admin
    key = admin.read_key()
    if key is None:
        return ()
    collection = Collection(RayTargets(config.name))
    app = create_admin_app(
        shared, collection, RaySegments(config.name), sha256(key.get_secret_value().encode()).hexdigest()
    )
    return (partial(serve_admin, app, admin.host, admin.port),)


def build(config: ClusterConfig, state_url: str) -> Application:
    """The application of ``config``. Raises :class:`ConfigError` when no pool serves the canvas that a model writes by
    itself, and when a policy cannot be used.
    """
    for model in config.models:
        served(describe(resolve_checkpoint(model.checkpoint)), model)
    workers = {model.id: {pool.name: _pool(config, model, pool) for pool in model.pools} for model in config.models}
    gateway = serve.deployment(
        Gateway,
        name="gateway",
        autoscaling_config=gateway_autoscaling(config.name, config.autoscaling, config.gateway.replicas),
        max_ongoing_requests=GATEWAY_ONGOING_REQUESTS,
        ray_actor_options=gateway_options(config.gateway),
        graceful_shutdown_timeout_s=config.gateway.drain_seconds,
        request_router_config=router_settings("default"),
    )
    return gateway.bind(config, state_url, workers)


def deploy(config: ClusterConfig, state_url: str) -> None:
    """Start Serve on the Ray cluster of this process and wait until every replica is healthy.

    Raises ``RuntimeError`` when a deployment cannot be started.
    """
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    http_options = HTTPOptions(host=config.http.host, port=config.http.port)
    serve.start(http_options=http_options, grpc_options=grpc_options(config.grpc))
    serve.run(build(config, state_url), name=config.name, route_prefix="/")


def grpc_options(config: GrpcConfig) -> gRPCOptions | None:
    """What Serve's proxies offer over gRPC."""
    if config.port is None:
        return None
    return gRPCOptions(
        port=config.port,
        grpc_servicer_functions=SERVICER_FUNCTIONS,
        enable_reflection=bool(config.reflection),
    )


def undeploy(config: ClusterConfig) -> None:
    """Stop the application; whatever else runs on the Ray cluster goes on."""
    serve.delete(config.name)


def served(description: ModelDescription, model: ModelConfig) -> ModelDescription:
    """What requests may ask of the model: no longer canvas than some pool serves. Raises :class:`ConfigError`."""
    spec, longest = description.spec, model.longest_canvas
    if longest < spec.canvas_length:
        raise ConfigError(f"{model.id}: no pool serves its own canvas of {spec.canvas_length} positions")
    return replace(description, spec=replace(spec, max_canvas_length=min(spec.max_canvas_length, longest)))


def deployment_name(model: ModelConfig, pool: PoolConfig) -> str:
    """The name of the pool's Ray Serve deployment."""
    return f"worker:{model.id.replace('/', '--')}:{pool.name}"


def actor_options(pool: PoolConfig) -> dict[str, Any]:
    """What Ray reserves for a replica, and the nodes that it may run on."""
    options: dict[str, Any] = {"num_cpus": pool.cpus, "num_gpus": pool.gpus}
    if pool.accelerator.type is not None:
        options["accelerator_type"] = pool.accelerator.type
    if pool.accelerator.labels:
        options["label_selector"] = pool.accelerator.labels
    return options


def gateway_options(gateway: GatewayConfig) -> dict[str, Any]:
    """What Ray reserves for a gateway, and the nodes that it may run on."""
    options: dict[str, Any] = {"num_cpus": gateway.cpus}
    return options | {"label_selector": gateway.labels} if gateway.labels else options


def _pool(config: ClusterConfig, model: ModelConfig, pool: PoolConfig) -> Application:
    """The replicas of a pool of ``config``, as many as there always are or as its policy asks for."""
    if pool.max_replicas is None:
        return worker(config, model, pool)
    try:
        policy_named(pool.scaling.policy)
    except ValueError as error:
        raise ConfigError(f"{model.id}: pool {pool.name}: {error}") from error
    spec = spec_of(model, pool, pool.max_replicas)
    return worker(config, model, pool, pool_autoscaling(config.name, config.autoscaling, spec))


def spec_of(model: ModelConfig, pool: PoolConfig, most: int) -> PoolSpec:
    """What the autoscaler has to know of a pool of at most so many replicas."""
    return PoolSpec(
        name=pool_name(model.id, pool.name),
        model=model.id,
        group=queue_name(model.id, class_of(pool)),
        least=pool.replicas,
        most=most,
        places=pool.max_running,
        price=pool.accelerator.price_per_hour,
        scaling=pool.scaling,
        objective=model.objective,
    )


def worker(
    config: ClusterConfig, model: ModelConfig, pool: PoolConfig, autoscaling: AutoscalingConfig | None = None
) -> Application:
    """The replicas of ``pool``: as many as it says, or as ``autoscaling`` does."""
    size = {"num_replicas": pool.replicas} if autoscaling is None else {"autoscaling_config": autoscaling}
    replicas = serve.deployment(
        Worker,
        name=deployment_name(model, pool),
        **size,
        max_ongoing_requests=pool.max_running + pool.max_waiting,
        ray_actor_options=actor_options(pool),
        health_check_period_s=WORKER_HEALTH_PERIOD_SECONDS,
        health_check_timeout_s=WORKER_HEALTH_TIMEOUT_SECONDS,
        graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
        request_router_config=router_settings(
            config.routing.router, request_routing_stats_period_s=ROUTING_STATS_SECONDS
        ),
    )
    return replicas.bind(model, pool, config.autoscaling, config.telemetry)


def _serve_model(config: ClusterConfig, model: ModelConfig, workers: Mapping[str, DeploymentHandle]) -> Model:
    path = resolve_checkpoint(model.checkpoint)
    description = served(describe(path), model)
    steal_seconds = config.routing.steal_seconds
    members = [
        Member.of(pool, RayPool(workers[pool.name], description.spec, pool, steal_seconds)) for pool in model.pools
    ]
    pools = PoolSet(description.spec, members, steal_seconds)
    return Model(model.id, description, Text.load(path), pools, model.work_weight, model.objective)
