"""Services: addresses behind which stand the pods that are ready, as kube-proxy has it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.install.network import PodNetwork

PIECE = 1 << 16
BACKLOG = 128

Endpoints = Callable[[], Sequence[str]]
"""The addresses of the pods that take new connections."""


class Service:
    """Takes connections at an address of the pods' network, and at ports of this machine's loopback, and gives each to
    one of the endpoints in turn. One that finds none is closed at once.
    """

    def __init__(self, network: PodNetwork, endpoints: Endpoints, ports: Sequence[tuple[int, int]]) -> None:
        """``ports`` are the Service's and those of its pods."""
        self.address = network.new_address()
        self._network, self._endpoints = network, endpoints
        self._turns = itertools.count()
        # An event loop keeps no task alive by itself.
        self._connections: set[object] = set()
        self._local = {port: socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) for port, _ in ports}
        network.add_address(self.address)
        for port, target in ports:
            network.submit(self._serve(port, target)).result(10)

    def local(self, port: int) -> str:
        """Where this machine reaches a port of the Service."""
        host, number = self._local[port].getsockname()
        return f"{host}:{number}"

    async def _serve(self, port: int, target: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = asyncio.current_task()
            self._connections.add(connection)
            try:
                await self._forward(reader, writer, target)
            finally:
                self._connections.discard(connection)

        await self._network.listen(connected, self.address, port, limit=PIECE, backlog=BACKLOG)
        await self._network.listen(connected, sock=self._local[port], limit=PIECE, backlog=BACKLOG)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        endpoints = self._endpoints()
        try:
            if not endpoints:
                return
            address = endpoints[next(self._turns) % len(endpoints)]
            to_reader, to_writer = await asyncio.open_connection(address, port, limit=PIECE)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_carry(reader, to_writer))
                    group.create_task(_carry(to_reader, writer))
            finally:
                to_writer.transport.abort()
        except (OSError, ExceptionGroup):
            pass
        finally:
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
