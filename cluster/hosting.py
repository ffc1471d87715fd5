"""Ray and the Serve application, for as long as a context lasts."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.environment import node_environment
from cluster.serving import haproxy_environment
from deployments.config import ClusterConfig, RayConfig
from deployments.telemetry.config import TRACES_ENVIRONMENT

LOOPBACK = "127.0.0.1"

OBJECT_STORE_BYTES = 128 << 20
"""Requests and events are a few kilobytes; Ray would reserve 30 % of the memory."""

LOCAL_ENVIRONMENT = {
    # A signal during the start of Ray ends it at once: there is nothing to drain.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    # Ray on Windows and macOS binds to 127.0.0.1; this has it do the same on Linux, where no other setting does.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""Of a Ray that starts here."""


@contextmanager
def ray_hosting(config: ClusterConfig, state_url: str) -> Iterator[None]:
    """Serve ``config`` on Ray. Raises when Ray or a deployment cannot be started."""
    # A longer path than this would not fit the addresses of Ray's sockets.
    with tempfile.TemporaryDirectory(prefix="dllm-ray-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        prepare_environment(config)
        if config.ray.serving == "haproxy" and config.ray.address is None:
            _set(haproxy_environment(config.http, Path(directory)))
        from deployments.app import deploy, undeploy

        with _ray(config.ray, directory):
            try:
                deploy(config, state_url)
                yield
            finally:
                undeploy(config)


def prepare_environment(config: ClusterConfig) -> None:
    """Ray and Serve read the environment when they are imported, and their processes inherit it.

    A Ray that starts here listens to this machine alone, and there only to who knows its token. Without a token of
    ours, Ray would make one and leave it in the home folder. One that runs has what its nodes were started with, which
    has to be of the same ``serving``.
    """
    ray, http = config.ray, config.http
    environment = node_environment(config)
    # The one part that two clusters of this process may need to have otherwise.
    os.environ[TRACES_ENVIRONMENT] = environment.pop(TRACES_ENVIRONMENT)
    if ray.address is None:
        environment |= LOCAL_ENVIRONMENT
        # Behind HAProxy the gateways' own servers are asked by it alone.
        environment["DLLM_GRPC_HOST"] = LOOPBACK if ray.serving == "haproxy" else http.host
        if "RAY_AUTH_MODE" not in os.environ:
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    _set(environment)


def _set(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        os.environ.setdefault(name, value)


@contextmanager
def _ray(config: RayConfig, directory: str) -> Iterator[None]:
    """Ray on loopback with its files in ``directory``, or a connection to a cluster that runs."""
    import ray

    try:
        with _signals_kept():
            if config.address is None:
                ray.init(**_local_settings(config, directory))
            else:
                ray.init(address=config.address, log_to_driver=False, logging_level=logging.WARNING)
        yield
    finally:
        ray.shutdown()


def _local_settings(config: RayConfig, directory: str) -> dict[str, Any]:
    return {
        "address": "local",
        "include_dashboard": config.dashboard,
        "dashboard_host": LOOPBACK,
        "object_store_memory": OBJECT_STORE_BYTES,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "_temp_dir": directory,
    }


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself and exits on it; here it means what it meant before."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as interruption:
        raise KeyboardInterrupt from interruption
    finally:
        signal.signal(signal.SIGTERM, handler)
