"""A cluster in the background: the same command again, in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.interruption import until_interrupted
from cluster.runtime import AlreadyRunning, RunningCluster, RuntimeDirectory

LOG_TAIL_LINES = 40
READY = b"ready\n"


class DaemonError(RuntimeError):
    """The cluster ended before it was ready; the message is the end of its log."""


def start_daemon(runtime: RuntimeDirectory, arguments: Sequence[str]) -> RunningCluster:
    """Run ``dllm`` with ``arguments`` in the background and wait until the cluster is ready.

    It is told the number of a pipe by ``--ready-fd`` and calls :func:`report_ready`. If it ends before that, or this
    process is interrupted, nothing is left behind. Raises :class:`DaemonError`.
    """
    runtime.prepare()
    if runtime.is_held():
        raise AlreadyRunning
    reader, writer = os.pipe()
    with runtime.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this program itself
            [sys.executable, "-P", "-m", "cluster", *arguments, "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(writer,),
        )
    os.close(writer)
    with until_interrupted(), open(reader, "rb") as pipe:
        if pipe.readline() == READY and (running := runtime.read()):
            return running
    process.terminate()
    process.wait()
    raise DaemonError(tail(runtime.log))


def report_ready(ready_fd: int) -> None:
    """Tell the process at the other end of the pipe that the cluster is ready."""
    with open(ready_fd, "wb") as pipe:
        pipe.write(READY)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
