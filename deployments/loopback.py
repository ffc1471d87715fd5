"""Keeping a replica's server to this machine."""

from __future__ import annotations

import os

ALL_INTERFACES, LOOPBACK = "[::]:", "127.0.0.1:"


def listen_to_this_machine() -> None:
    """Have Ray Serve bind the server of this replica to loopback, where all other servers of its Ray are.

    Serve talks to replicas by gRPC and binds that server to every interface, for which it has no setting. To be called
    when the replica is constructed, which is before it listens.
    """
    if os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER") != "0":
        return
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: add_port(
        server, address.replace(ALL_INTERFACES, LOOPBACK)
    )
