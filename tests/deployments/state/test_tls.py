"""TLS to the state, with an authority of one's own and with certificates on both sides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deployments.state.bounds import Bounds
from deployments.state.connect import clients_at
from deployments.state.redis import RedisStore
from deployments.state.store import Claim, StateUnavailable
from tests.deployments.state.certificates import Authority
from tests.deployments.state.servers import Place

CLAIM = Claim("req_1", "digest")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


async def test_a_server_with_a_trusted_certificate_is_talked_to(valkey: Place, authority: Authority) -> None:
    async with tls_front(valkey, authority) as port:
        assert await claim(valkey, port, f"ca={authority.certificate}") == CLAIM


async def test_a_server_with_another_certificate_or_name_is_not(valkey: Place, authority: Authority) -> None:
    other = Authority(authority.directory, "theirs")
    async with tls_front(valkey, authority) as port:
        for query in (f"ca={other.certificate}", ""):
            with pytest.raises(StateUnavailable):
                await claim(valkey, port, query)
        with pytest.raises(StateUnavailable):
            await claim(valkey, port, f"ca={authority.certificate}", host="127.0.0.1")


async def test_a_server_that_asks_for_a_certificate_gets_ours(valkey: Place, authority: Authority) -> None:
    certificate, key = authority.issue("client")
    async with tls_front(valkey, authority, mutual=True) as port:
        assert await claim(valkey, port, f"ca={authority.certificate}&cert={certificate}&key={key}") == CLAIM
        with pytest.raises(StateUnavailable):
            await claim(valkey, port, f"ca={authority.certificate}")


def test_files_that_are_no_certificates_are_refused_at_once(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    _, key = authority.issue("client")
    for query in (f"ca={tmp_path}/none", f"ca={tmp_path}/empty", f"cert={authority.certificate}&key={key}"):
        with pytest.raises(ValueError, match="certificates of the state's URL cannot be used"):
            clients_at(f"rediss://localhost?{query}")


async def claim(place: Place, port: int, query: str, host: str = "localhost") -> Claim:
    """The answer to a claim by way of a TLS server."""
    user, _, _ = place.url.removeprefix("redis://").rpartition("@")
    store = RedisStore(clients_at(f"rediss://{user}@{host}:{port}/1?{query}"), 60, Bounds())
    try:
        return await store.claim("acme", "token", CLAIM)
    finally:
        await store.close()


@asynccontextmanager
async def tls_front(place: Place, authority: Authority, *, mutual: bool = False) -> AsyncIterator[int]:
    """The port of a TLS server that hands all on to that of ``place``; a ``mutual`` one asks for a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    context.load_cert_chain(*authority.issue("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", place.servers[0].port)
        await asyncio.gather(hand_on(reader, behind_writer), hand_on(behind_reader, writer))

    server = await asyncio.start_server(link, "127.0.0.1", 0, ssl=context)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
    finally:
        writer.close()
