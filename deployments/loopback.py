"""Keeping the servers of Ray Serve to the addresses that they are meant for."""

from __future__ import annotations

import os

ALL_INTERFACES, LOOPBACK = "[::]:", "127.0.0.1:"
GRPC_HOST = "DLLM_GRPC_HOST"
"""The environment variable with the address on which proxies listen for gRPC; without it, that is every interface."""


def listen_to_this_machine() -> None:
    """Have Ray Serve bind the servers of this replica to loopback, where all other servers of its Ray are.

    Serve talks to replicas by gRPC, as an HAProxy does, and binds these servers to every interface, for which it has
    no setting. To be called when the replica is constructed, which is before it listens.
    """
    if os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER") != "0":
        return
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: add_port(
        server, address.replace(ALL_INTERFACES, LOOPBACK)
    )
    _bind_grpc(LOOPBACK)


def listen_to_clients() -> None:
    """Have Ray Serve's proxy listen for gRPC where it does for HTTP. To be called before it listens."""
    host = os.environ.get(GRPC_HOST)
    if host:
        _bind_grpc(f"[{host}]:" if ":" in host else f"{host}:")


def _bind_grpc(prefix: str) -> None:
    from ray.serve._private import default_impl

    add_address = default_impl.add_grpc_address
    default_impl.add_grpc_address = lambda server, address: add_address(server, address.replace(ALL_INTERFACES, prefix))
