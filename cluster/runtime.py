"""What ``dllm status`` and ``dllm down`` know of the running cluster: one folder for each user of a machine.

A cluster runs exactly as long as some process holds the lock on the folder's lock file; the kernel gives the lock up
with the process, however that ends. So the process that the record names is alive and is ours whenever there is one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

POLL_SECONDS = 0.05


class AlreadyRunning(RuntimeError):
    """A cluster of this user runs on this machine."""

    def __init__(self) -> None:
        super().__init__("a cluster is running already; `dllm status` shows it and `dllm down` stops it")


class UnsafeDirectory(RuntimeError):
    """The runtime folder is not the user's own."""


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """``base_url`` ends in ``/v1``. ``api_key`` is the first that the configuration states as a whole, and
    ``state_pid`` that of the embedded state server, if there is one. ``access_log`` has a line for each request;
    without one the gateways' error outputs have them.
    """

    pid: int
    base_url: str
    api_key: str | None
    state_url: str
    state_pid: int | None
    admin_url: str
    admin_key: str
    grpc_address: str | None
    ready: bool
    access_log: str | None = None


class RuntimeDirectory:
    """The folder with the record, the lock and the logs. Only its owner can read it, since the record holds a key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log, self.access_log = path / "cluster.log", path / "access.log"
        self._record, self._lock = path / "cluster.json", path / "lock"

    @classmethod
    def of_user(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The folder of whoever runs this."""
        return cls(Path(environment.get("XDG_RUNTIME_DIR") or "/tmp") / f"dllm-{os.getuid()}")  # noqa: S108 - checked

    def prepare(self) -> None:
        """Make the folder. Raises :class:`UnsafeDirectory` when another user could write to it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.path.lstat()
        private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
        if not private:
            raise UnsafeDirectory(f"{self.path} is not a folder that only you can enter")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the running cluster. Raises :class:`AlreadyRunning` when there is one."""
        self.prepare()
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning from None
            try:
                yield
            finally:
                self._record.unlink(missing_ok=True)

    def write(self, running: RunningCluster) -> None:
        """Publish ``running`` as a whole. Only for the holder of the lock."""
        draft = self._record.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(running)))
        draft.replace(self._record)

    def read(self) -> RunningCluster | None:
        """The running cluster, or ``None``."""
        if not self.is_held():
            return None
        try:
            return RunningCluster(**json.loads(self._record.read_text()))
        except FileNotFoundError:
            return None

    def wait_until_gone(self, timeout_seconds: float) -> bool:
        """Whether the running cluster ended in time."""
        deadline = time.monotonic() + timeout_seconds
        while self.is_held():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def is_held(self) -> bool:
        """Whether a cluster runs, or starts or stops."""
        try:
            with self._lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False
