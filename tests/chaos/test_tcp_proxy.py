"""The proxy does to a connection what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.tcp_proxy import LOOPBACK, TcpProxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def proxied_echo() -> AsyncGenerator[TcpProxy]:
    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]).listening() as proxy:
        yield proxy


class Client:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.reader.readexactly(len(data))

    async def is_broken(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def client_of(proxy: TcpProxy) -> AsyncGenerator[Client]:
    client = Client(*await asyncio.open_connection(LOOPBACK, proxy.port))
    try:
        yield client
    finally:
        client.writer.transport.abort()
        await asyncio.gather(client.writer.wait_closed(), return_exceptions=True)


async def test_bytes_pass_both_ways_and_the_end_too() -> None:
    async with proxied_echo() as proxy, client_of(proxy) as client:
        assert await client.ask(b"there and back") == b"there and back"
        client.writer.write_eof()
        assert await client.reader.read() == b""


async def test_a_pause_holds_bytes_and_loses_none() -> None:
    async with proxied_echo() as proxy, client_of(proxy) as client:
        assert await client.ask(b"a") == b"a"
        proxy.pause()
        answer = asyncio.create_task(client.ask(b"held"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not answer.done()
        proxy.resume()
        assert await answer == b"held"


async def test_a_reset_breaks_connections_and_takes_new_ones() -> None:
    async with proxied_echo() as proxy, client_of(proxy) as client:
        await client.ask(b"a")
        proxy.reset()
        assert await client.is_broken()
        async with client_of(proxy) as other:
            assert await other.ask(b"b") == b"b"


async def test_a_partition_breaks_all_until_it_is_mended() -> None:
    async with proxied_echo() as proxy, client_of(proxy) as client:
        await client.ask(b"a")
        proxy.partition()
        assert await client.is_broken()
        async with client_of(proxy) as other:
            assert await other.is_broken()
        proxy.mend()
        async with client_of(proxy) as other:
            assert await other.ask(b"b") == b"b"


async def test_a_target_that_is_gone_is_a_broken_connection() -> None:
    async with proxied_echo() as proxy:
        port = proxy.port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(LOOPBACK, port)
    async with TcpProxy(port).listening() as proxy, client_of(proxy) as other:
        assert await other.is_broken()


async def test_latency_is_waited_for_in_each_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def record(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async with proxied_echo() as proxy:
        proxy.latency_seconds = 0.125
        async with client_of(proxy) as client:
            monkeypatch.setattr(asyncio, "sleep", record)
            assert await client.ask(b"a") == b"a"
            monkeypatch.undo()
    assert waits == [0.125, 0.125]
