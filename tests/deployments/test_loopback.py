from __future__ import annotations

import pytest
from ray.serve._private import replica

from deployments.loopback import listen_to_this_machine


def bound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where Ray Serve binds the server of a replica, which it is told as ``[::]:0``."""
    addresses: list[str] = []
    monkeypatch.setattr(replica, "add_port_to_grpc_server", lambda server, address: addresses.append(address))
    listen_to_this_machine()
    replica.add_port_to_grpc_server(None, "[::]:0")
    return addresses


def test_beside_a_ray_on_loopback_a_replica_listens_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    assert bound(monkeypatch) == ["127.0.0.1:0"]


def test_in_a_cluster_of_many_machines_it_is_reached_from_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    assert bound(monkeypatch) == ["[::]:0"]
