"""The Ray Serve application: a gateway, and for each model a pool of workers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.config import HTTPOptions
from ray.serve.handle import DeploymentHandle

from deployments.config import ClusterConfig, ModelConfig
from deployments.gateway.app import create_app
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings
from deployments.ray_pool import RayPool
from deployments.state.connect import connect
from deployments.worker import Worker
from dllm_worker.models.checkpoint import describe, resolve_checkpoint
from dllm_worker.text import Text

GATEWAY_CPUS = 0.25
GATEWAY_ONGOING_REQUESTS = 4096
"""The engines' queues bound the requests in flight; this only has to be higher than they are together."""

SHUTDOWN_SECONDS = 5.0


@serve.ingress()
class Gateway:
    """The REST ingress in a Ray Serve replica."""

    def __init__(
        self, config: ClusterConfig, state_url: str, keys: Mapping[str, str], workers: Mapping[str, DeploymentHandle]
    ) -> None:
        self._store = connect(state_url, config.state.ttl_seconds)
        self._models = {model.id: _serve_model(model, workers[model.id]) for model in config.models}
        self._keys = keys
        self._settings = GatewaySettings(
            version=version("dllm-cluster"),
            max_body_bytes=config.http.max_body_bytes,
            keep_alive_seconds=config.http.keep_alive_seconds,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._models, self._store, self._keys, self._settings)


def build(config: ClusterConfig, state_url: str, keys: Mapping[str, str]) -> Application:
    """The application of ``config``. ``keys`` are API keys with the tenant that each speaks for."""
    workers = {model.id: _pool(model) for model in config.models}
    gateway = serve.deployment(
        Gateway,
        name="gateway",
        max_ongoing_requests=GATEWAY_ONGOING_REQUESTS,
        ray_actor_options={"num_cpus": GATEWAY_CPUS},
        graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
    )
    return gateway.bind(config, state_url, dict(keys), workers)


def deploy(config: ClusterConfig, state_url: str, keys: Mapping[str, str]) -> None:
    """Start Serve on the Ray cluster of this process and wait until every replica is healthy.

    Raises ``RuntimeError`` when a deployment cannot be started.
    """
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(http_options=HTTPOptions(host=config.http.host, port=config.http.port))
    serve.run(build(config, state_url, keys), name=config.name, route_prefix="/")


def undeploy(config: ClusterConfig) -> None:
    """Stop the application; whatever else runs on the Ray cluster goes on."""
    serve.delete(config.name)


def _pool(model: ModelConfig) -> Application:
    pool = model.pool
    worker = serve.deployment(
        Worker,
        name=f"worker:{model.id.replace('/', '--')}",
        num_replicas=pool.replicas,
        max_ongoing_requests=pool.max_running + pool.max_waiting,
        ray_actor_options={"num_cpus": pool.cpus, "num_gpus": pool.gpus},
        graceful_shutdown_timeout_s=SHUTDOWN_SECONDS,
    )
    return worker.bind(model)


def _serve_model(config: ModelConfig, worker: DeploymentHandle) -> Model:
    path = resolve_checkpoint(config.checkpoint)
    return Model(config.id, describe(path), Text.load(path), RayPool(worker))
