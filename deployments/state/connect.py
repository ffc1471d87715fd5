"""From the URL of the state to its clients."""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff
from redis.credentials import CredentialProvider

from deployments.state.address import StateAddress
from deployments.state.client import CallSettings, Client, Clients, ClientSettings
from deployments.telemetry.observation import Telemetry


def clients_at(url: str, settings: ClientSettings | None = None, telemetry: Telemetry | None = None) -> Clients:
    """The clients of ``url`` (:mod:`deployments.state.address`). Connections are made when they are needed.

    Raises :class:`ValueError` for a URL, a password file, or certificates, that cannot be used.
    """
    address = StateAddress.parse(url)
    address.read_password()
    _check_certificates(address)
    settings = settings or ClientSettings()
    each = (settings.admission, settings.state, settings.followers)
    return Clients(*(_client(address, calls, telemetry) for calls in each))


def _client(address: StateAddress, settings: CallSettings, telemetry: Telemetry | None = None) -> Client:
    transport = _transport(address, settings)
    options = transport | _credentials(address) | {"db": address.database}
    if address.topology == "cluster":
        nodes = [ClusterNode(host, port) for host, port in address.hosts]
        return Client(RedisCluster(startup_nodes=nodes, **options), settings, telemetry=telemetry)
    if address.topology == "sentinel":
        sentinel = Sentinel(address.hosts, sentinel_kwargs=transport, **options)  # type: ignore[no-untyped-call]
        return Client(sentinel.master_for(address.primary), settings, sentinel.sentinels, telemetry)
    ((host, port),) = address.hosts
    return Client(Redis(host=host, port=port, **options), settings, telemetry=telemetry)


class MountedCredentials(CredentialProvider):
    """The credentials of an address whose password is in a file: each new connection takes what is there then."""

    def __init__(self, address: StateAddress) -> None:
        self._address = address

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._address.read_password() or ""
        return (self._address.username, password) if self._address.username else (password,)


def _credentials(address: StateAddress) -> dict[str, Any]:
    if address.password_file is not None:
        return {"credential_provider": MountedCredentials(address)}
    return {"username": address.username, "password": address.password}


def _transport(address: StateAddress, settings: CallSettings) -> dict[str, Any]:
    """What every connection is made with. It sends nothing but what was asked for, and what names its user."""
    tls = {
        "ssl_ca_certs": address.ca,
        "ssl_certfile": address.certificate,
        "ssl_keyfile": address.private_key,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
    }
    return {
        "ssl": address.tls,
        "socket_timeout": settings.timeout_seconds,
        "socket_connect_timeout": settings.timeout_seconds,
        "retry": Retry(ConstantBackoff(settings.retry_wait_seconds), settings.retries),
        "max_connections": settings.places,
        "protocol": 2,
        "driver_info": None,
    } | (tls if address.tls else {})


def _check_certificates(address: StateAddress) -> None:
    """Find now what would be wrong with each connection later."""
    if not address.tls:
        return
    try:
        context = ssl.create_default_context(cafile=address.ca)
        if address.certificate is not None:
            context.load_cert_chain(address.certificate, address.private_key)
    except OSError as error:
        raise ValueError(f"the certificates of the state's URL cannot be used: {error}") from None
