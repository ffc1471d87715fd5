"""A cluster from its start to its end, on this machine."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from pydantic import SecretStr

from cluster.interruption import until_interrupted
from cluster.runtime import RunningCluster, RuntimeDirectory
from cluster.valkey import embedded_valkey
from deployments.config import EMBEDDED, ClusterConfig
from deployments.tenancy.declared import KeyConfig
from deployments.tenancy.keys import DEVELOPMENT, make_key

logger = logging.getLogger(__name__)

DEVELOPMENT_TENANT = "dev"
ADMINISTRATION = "admin"
"""The environment that an admin key names."""

Hosting = Callable[[ClusterConfig, str], AbstractContextManager[None]]
"""Serves a configuration, which leaves nothing open, with its state at a URL, within a context."""


class PortTaken(RuntimeError):
    """The gateway cannot listen where the configuration says."""


def run(
    config: ClusterConfig, runtime: RuntimeDirectory, hosting: Hosting, announce: Callable[[RunningCluster], None]
) -> None:
    """Run a cluster until SIGINT or SIGTERM, and leave nothing behind, also when one arrives during the start.

    ``announce`` is called once, when every replica is healthy.
    """
    with until_interrupted() as interruption, ExitStack() as parts:
        parts.enter_context(runtime.hold())
        config = with_access_log(completed(config), runtime)
        state_url, state_pid = config.state.url, None
        if state_url == EMBEDDED:
            server = parts.enter_context(embedded_valkey())
            state_url, state_pid = server.url, server.pid
        starting = record_of(config, state_url, state_pid)
        runtime.write(starting)
        parts.enter_context(hosting(config, state_url))
        running = replace(starting, ready=True)
        runtime.write(running)
        announce(running)
        interruption.wait()


def record_of(config: ClusterConfig, state_url: str, state_pid: int | None) -> RunningCluster:
    """What is published of a cluster of this process that is not ready yet."""
    admin, admin_key = config.admin, config.admin.read_key()
    key = next((entry.key for entry in config.keys if entry.key), None)
    return RunningCluster(
        pid=os.getpid(),
        base_url=f"http://{_address(config.http.host, config.http.port)}/v1",
        api_key=None if key is None else key.get_secret_value(),
        state_url=state_url,
        state_pid=state_pid,
        admin_url=f"http://{_address(admin.host, admin.port)}",
        admin_key=admin_key.get_secret_value() if admin_key else "",
        grpc_address=None if config.grpc.port is None else _address(config.http.host, config.grpc.port),
        ready=False,
        access_log=config.telemetry.access_log,
    )


def completed(config: ClusterConfig) -> ClusterConfig:
    """``config`` with all that it leaves to its start: free ports in place of 0, an admin key, and, if nobody else has
    one, a key for development. Raises :class:`PortTaken` when a port is not free.
    """
    config = with_ports(config)
    admin = config.admin
    if admin.read_key() is None:
        admin = admin.model_copy(update={"key": SecretStr(make_key(ADMINISTRATION))})
    config = config.model_copy(update={"admin": admin})
    if config.keys or config.tenancy_file:
        return config
    keys = [KeyConfig(tenant=DEVELOPMENT_TENANT, key=SecretStr(make_key(DEVELOPMENT)), name="development")]
    grpc = config.grpc
    if grpc.reflection is None:
        grpc = grpc.model_copy(update={"reflection": True})
    logger.warning("no key is configured: anyone who reads this machine's runtime folder can use the cluster")
    return config.model_copy(update={"keys": keys, "grpc": grpc})


def with_access_log(config: ClusterConfig, runtime: RuntimeDirectory) -> ClusterConfig:
    """``config`` with an access log in the runtime folder, unless it names a file or runs on other machines."""
    telemetry = config.telemetry
    if telemetry.access_log is not None or config.ray.address is not None:
        return config
    telemetry = telemetry.model_copy(update={"access_log": str(runtime.access_log)})
    return config.model_copy(update={"telemetry": telemetry})


def with_ports(config: ClusterConfig) -> ClusterConfig:
    """``config`` with free ports in place of 0. Raises :class:`PortTaken` when one that it names is taken.

    On a Ray cluster that runs they are those of other machines, about which nothing can be said here.
    """
    if config.ray.address is not None:
        return config
    http, admin, grpc = config.http, config.admin, config.grpc
    http = http.model_copy(update={"port": _free_port(http.host, http.port)})
    admin = admin.model_copy(update={"port": _free_port(admin.host, admin.port)})
    if grpc.port is not None:
        grpc = grpc.model_copy(update={"port": _free_port(http.host, grpc.port)})
    return config.model_copy(update={"http": http, "admin": admin, "grpc": grpc})


def _free_port(host: str, port: int) -> int:
    try:
        with socket.create_server((host, port), family=_family(host)) as probe:
            free: int = probe.getsockname()[1]
    except OSError as error:
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return free


def _address(host: str, port: int) -> str:
    """Where this machine reaches what listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to reach it
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
