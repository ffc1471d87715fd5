from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ConnectionError

from cluster import valkey
from cluster.valkey import ValkeyError, embedded_valkey

KILLED_STARTER = """
import os, signal
from cluster.valkey import embedded_valkey
with embedded_valkey() as server:
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


def test_it_serves_while_the_context_lasts_and_is_gone_afterwards() -> None:
    with embedded_valkey() as server, Redis.from_url(server.url) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        directory = Path(client.config_get("dir")["dir"])
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert is_gone(server.pid)
    assert not directory.exists()
    with pytest.raises(ConnectionError), Redis.from_url(server.url, retry=None) as client:
        client.ping()


def test_it_refuses_a_caller_without_its_password() -> None:
    with (
        embedded_valkey() as server,
        Redis.from_url(re.sub(r":[^:@]+@", "", server.url)) as client,
        pytest.raises(AuthenticationError),
    ):
        client.ping()


def test_a_failing_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        monkeypatch.setattr(valkey, "free_port", lambda: occupied.getsockname()[1])
        with pytest.raises(ValkeyError, match="Address already in use"), embedded_valkey():
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child whose parent was killed")
def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    command, environment = [sys.executable, "-c", KILLED_STARTER], {**os.environ, "TMPDIR": str(tmp_path)}
    starter = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    assert starter.returncode == -signal.SIGKILL
    pid = int(starter.stdout)
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        assert select.select([process], [], [], 10.0)[0]
        os.close(process)
