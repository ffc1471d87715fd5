"""A TCP proxy whose network can be made slow, stopped, cut and mended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

CHUNK_BYTES = 1 << 16
LOOPBACK = "127.0.0.1"


class TcpProxy:
    """Passes what comes to ``port`` on to another port of loopback.

    ``latency_seconds`` is added to each chunk, both ways. While paused, nothing passes and nothing is lost. While
    partitioned, there is nobody: connections break at once and new ones are refused by a reset.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.port = port
        self.latency_seconds = 0.0
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._partitioned = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def pause(self) -> None:
        """Hold what passes until :meth:`resume`."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let it pass again, in order."""
        self._flowing.set()

    def reset(self) -> None:
        """Break every connection by a reset; new ones work."""
        for writer in self._writers:
            writer.transport.abort()

    def partition(self) -> None:
        """Break every connection, and every one that comes until :meth:`mend`."""
        self._partitioned = True
        self.reset()

    def mend(self) -> None:
        """Take connections again."""
        self._partitioned = False

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._writers) // 2

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[TcpProxy]:
        """Serve within a context; at its end every connection is broken."""
        server = await asyncio.start_server(self._accept, LOOPBACK, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._partitioned = True
            self.resume()
            self.reset()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._partitioned:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except OSError:
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()
            await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until its sender is done."""
        while chunk := await reader.read(CHUNK_BYTES):
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        if not writer.transport.is_closing():
            writer.write_eof()


class ProxyThread:
    """A proxy that runs in a thread of its own; what is done to it takes effect before the call returns."""

    def __init__(self, proxy: TcpProxy, loop: asyncio.AbstractEventLoop) -> None:
        self.port = proxy.port
        self._proxy, self._loop = proxy, loop

    def slow_down(self, latency_seconds: float) -> None:
        """As :attr:`TcpProxy.latency_seconds`."""
        self._do(lambda: setattr(self._proxy, "latency_seconds", latency_seconds))

    def pause(self) -> None:
        """As :meth:`TcpProxy.pause`."""
        self._do(self._proxy.pause)

    def resume(self) -> None:
        """As :meth:`TcpProxy.resume`."""
        self._do(self._proxy.resume)

    def reset(self) -> None:
        """As :meth:`TcpProxy.reset`."""
        self._do(self._proxy.reset)

    def partition(self) -> None:
        """As :meth:`TcpProxy.partition`."""
        self._do(self._proxy.partition)

    def mend(self) -> None:
        """As :meth:`TcpProxy.mend`."""
        self._do(self._proxy.mend)

    def _do(self, act: Callable[[], object]) -> None:
        async def done() -> None:
            act()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result()


@contextmanager
def proxy_thread(target: int) -> Iterator[ProxyThread]:
    """A proxy to ``target`` for as long as the context lasts, for programs that have no loop of their own."""
    started: Future[ProxyThread] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with TcpProxy(target).listening() as proxy:
            loop = asyncio.get_running_loop()
            leave.append(lambda: loop.call_soon_threadsafe(over.set))
            started.set_result(ProxyThread(proxy, loop))
            await over.wait()

    leave: list[Callable[[], object]] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="proxy", daemon=True)
    thread.start()
    try:
        yield started.result()
    finally:
        leave[0]()
        thread.join()
