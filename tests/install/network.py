"""A network of its own for the pods of a cluster, with no way out of it: a bridge in a network namespace.

One thread is inside the namespace. The programs that it starts are inside too, and so are the connections that its
event loop makes; the rest of this process stays where it was.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from shutil import which
from typing import Any, TypeVar

T = TypeVar("T")

Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

CLONE_NEWNET = 0x40000000
PROGRAMS = ("ip", "unshare", "nsenter", "setpriv", "mount", "chroot", "wget", "bash")
BRIDGE, GATEWAY = "pods", "10.88.0.1"
PREFIX = 16
START_SECONDS, STEP_SECONDS = 10.0, 60.0


def obstacle() -> str | None:
    """Why this machine cannot have such networks and pods, if it cannot."""
    if os.geteuid() != 0:
        return "pods on this machine need root, as a container runtime does"
    missing = [program for program in PROGRAMS if which(program) is None]
    if missing:
        return f"pods on this machine need {', '.join(missing)}"
    command = [which("unshare") or "", "--net", "--mount", "--pid", "--fork", "true"]
    tried = subprocess.run(command, capture_output=True, check=False)
    return None if tried.returncode == 0 else f"namespaces are refused: {tried.stderr.decode().strip()}"


class PodNetwork:
    """The namespace, for as long as the context of :func:`pod_network` lasts."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._live, name="pods", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._addresses = iter(range(2, 1 << 16))

    def start(self) -> None:
        """Make the namespace. Raises ``OSError`` when that is refused."""
        self._thread.start()
        self._ready.result(START_SECONDS)

    def stop(self) -> None:
        """Leave it; it ends with the last program inside."""
        self.submit(self._leave()).result(STEP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def new_address(self) -> str:
        """An address that nobody has had."""
        number = next(self._addresses)
        return f"10.88.{number >> 8}.{number & 255}"

    def add_address(self, address: str) -> None:
        """Have the bridge answer to ``address`` too."""
        self.run(_ip, "address", "add", f"{address}/32", "dev", BRIDGE)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function`` inside."""
        if threading.current_thread() is self._thread:
            return function(*arguments)

        async def call() -> T:
            return function(*arguments)

        return self.submit(call()).result(STEP_SECONDS)

    def submit(self, task: Coroutine[Any, Any, T]) -> Future[T]:
        """Have ``task`` done inside."""
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    async def listen(self, connected: Connected, *where: Any, **options: Any) -> None:
        """Serve as :func:`asyncio.start_server` does, to the end of the network. Only from inside."""
        self._servers.append(await asyncio.start_server(connected, *where, **options))

    def plug(self, process: subprocess.Popen[bytes]) -> str:
        """Give the namespace that ``process`` has made for itself an end of the bridge; the name of the other end."""
        end = f"v{process.pid}"
        peer = ("peer", "name", "eth0", "netns", str(process.pid))
        self.run(_ip, "link", "add", end, "type", "veth", *peer)
        self.run(_ip, "link", "set", end, "master", BRIDGE, "up")
        return end

    def cut(self, end: str) -> None:
        """From now on nothing passes through this end, and nobody is told."""
        self.run(_ip, "link", "set", end, "down")

    async def _leave(self) -> None:
        """End what is still being done."""
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _live(self) -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "no network namespace")
            _ip("link", "set", "lo", "up")
            _ip("link", "add", BRIDGE, "type", "bridge")
            _ip("address", "add", f"{GATEWAY}/{PREFIX}", "dev", BRIDGE)
            _ip("link", "set", BRIDGE, "up")
        except Exception as error:
            self._ready.set_exception(error)
            return
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._ready.set_result, None)
        self._loop.run_forever()


@contextmanager
def pod_network() -> Iterator[PodNetwork]:
    """A network for pods."""
    network = PodNetwork()
    network.start()
    try:
        yield network
    finally:
        network.stop()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)  # noqa: S607 - where it is depends
