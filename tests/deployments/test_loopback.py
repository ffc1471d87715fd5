from __future__ import annotations

import pytest
from ray.serve._private import default_impl, replica

from deployments.loopback import GRPC_HOST, listen_to_clients, listen_to_this_machine


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where Ray Serve binds its servers."""
    addresses: list[str] = []
    monkeypatch.setattr(replica, "add_port_to_grpc_server", lambda server, address: addresses.append(address))
    monkeypatch.setattr(default_impl, "add_grpc_address", lambda server, address: addresses.append(address))
    return addresses


def listen() -> None:
    """As Ray Serve does: the server of a replica for its own kind, and one for clients."""
    replica.add_port_to_grpc_server(None, "[::]:0")
    default_impl.add_grpc_address(None, "[::]:9000")


def test_beside_a_ray_on_loopback_a_replica_listens_there_too(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    listen_to_this_machine()
    listen()
    assert addresses == ["127.0.0.1:0", "127.0.0.1:9000"]


def test_in_a_cluster_of_many_machines_it_is_reached_from_each(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
    monkeypatch.delenv(GRPC_HOST, raising=False)
    listen_to_this_machine()
    listen_to_clients()
    listen()
    assert addresses == ["[::]:0", "[::]:9000"]


@pytest.mark.parametrize(("host", "address"), [("192.0.2.7", "192.0.2.7:9000"), ("::1", "[::1]:9000")])
def test_a_proxy_listens_where_it_is_told(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch, host: str, address: str
) -> None:
    monkeypatch.setenv(GRPC_HOST, host)
    listen_to_clients()
    listen()
    assert addresses == ["[::]:0", address]
