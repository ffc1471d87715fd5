"""A cluster from its start to its end, on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from cluster.interruption import until_interrupted
from cluster.keys import DEVELOPMENT, make_key
from cluster.runtime import RunningCluster, RuntimeDirectory
from cluster.valkey import embedded_valkey
from deployments.config import EMBEDDED, ClusterConfig

DEVELOPMENT_TENANT = "dev"

Hosting = Callable[[ClusterConfig, str, Mapping[str, str]], AbstractContextManager[None]]
"""Serves a configuration, with its state at a URL and its tenants by key, within a context."""


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
        config = with_port(config)
        keys = tenants_by_key(config)
        state_url, state_pid = config.state.url, None
        if state_url == EMBEDDED:
            server = parts.enter_context(embedded_valkey())
            state_url, state_pid = server.url, server.pid
        starting = RunningCluster(os.getpid(), base_url(config), next(iter(keys)), state_url, state_pid, ready=False)
        runtime.write(starting)
        parts.enter_context(hosting(config, state_url, keys))
        running = replace(starting, ready=True)
        runtime.write(running)
        announce(running)
        interruption.wait()


def with_port(config: ClusterConfig) -> ClusterConfig:
    """``config`` with a free port in place of port 0. Raises :class:`PortTaken` when its own is taken."""
    http = config.http
    if config.ray.address is not None:
        return config
    try:
        with socket.create_server((http.host, http.port), family=_family(http.host)) as probe:
            port = probe.getsockname()[1]
    except OSError as error:
        raise PortTaken(f"cannot listen on {http.host}:{http.port}: {error.strerror}") from error
    return config.model_copy(update={"http": http.model_copy(update={"port": port})})


def tenants_by_key(config: ClusterConfig) -> dict[str, str]:
    """The configured keys, or a new one for development."""
    configured = {entry.key.get_secret_value(): entry.tenant for entry in config.keys}
    return configured or {make_key(DEVELOPMENT): DEVELOPMENT_TENANT}


def base_url(config: ClusterConfig) -> str:
    """What a client of the OpenAI kind takes as its base URL."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.http.host, config.http.host)  # noqa: S104 - to reach it
    return f"http://{f'[{host}]' if ':' in host else host}:{config.http.port}/v1"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
