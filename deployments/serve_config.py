"""A cluster as the document by which Ray Serve is told to deploy it, as in ``serveConfigV2`` of a RayService."""

from __future__ import annotations

from typing import Any

from ray.serve import Application

from deployments.app import build
from deployments.config import EMBEDDED, ClusterConfig
from deployments.document import ConfigError, typed
from deployments.gateway.grpc.services import SERVICER_FUNCTIONS
from deployments.state.address import StateAddress

IMPORT_PATH = "deployments.serve_config:application"


def application(args: dict[str, Any]) -> Application:
    """What ``import_path`` names: Ray Serve calls it with ``args``. Raises :class:`ConfigError`.

    Serve itself would only take a type that is not written as a string, and would repeat a bad value in its status.
    """
    config = typed(args, ClusterConfig)
    refuse_what_is_local(config)
    return build(config, config.state.url)


def serve_config(config: ClusterConfig) -> dict[str, Any]:
    """The document for ``config``, as plain data. Raises :class:`ConfigError` for what must not be in it."""
    refuse_what_is_local(config)
    refuse_secrets(config)
    grpc = config.grpc
    document: dict[str, Any] = {
        "proxy_location": "EveryNode",
        "http_options": {"host": config.http.host, "port": config.http.port},
        "applications": [
            {
                "name": config.name,
                "route_prefix": "/",
                "import_path": IMPORT_PATH,
                "args": config.model_dump(mode="json", exclude_defaults=True),
            }
        ],
    }
    if grpc.port is not None:
        document["grpc_options"] = {
            "port": grpc.port,
            "grpc_servicer_functions": list(SERVICER_FUNCTIONS),
            "enable_reflection": bool(grpc.reflection),
        }
    return document


def refuse_what_is_local(config: ClusterConfig) -> None:
    """Raise :class:`ConfigError` for what one machine only could mean."""
    if config.state.url == EMBEDDED:
        raise ConfigError("state.url: the embedded server serves the machine of `dllm up` only; name a server")
    if 0 in (config.http.port, config.admin.port, config.grpc.port):
        raise ConfigError("http.port, admin.port and grpc.port: port 0 would be another one on each node")


def refuse_secrets(config: ClusterConfig) -> None:
    """Raise :class:`ConfigError` for a secret that is not given by reference: who sees the document is not known."""
    if config.admin.key is not None:
        raise ConfigError("admin.key: give the file that holds it, as admin.key_file")
    if any(key.key is not None for key in config.keys):
        raise ConfigError("keys: give each by its id and sha256, or all of them in the tenancy_file")
    if StateAddress.parse(config.state.url).password is not None:
        raise ConfigError("state.url: give the file that holds the password, as in ?password=/run/secrets/state")
