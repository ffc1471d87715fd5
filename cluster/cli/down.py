"""``dllm down``."""

from __future__ import annotations

import os
import select
import signal
import sys

import typer

from cluster.cli.output import fail
from cluster.runtime import RuntimeDirectory

STOP_SECONDS = 60.0


def down() -> None:
    """Stop the running cluster and wait until it is gone; without one, there is nothing to do."""
    runtime = RuntimeDirectory.of_user()
    running = runtime.read()
    if running is None:
        typer.echo("No cluster is running.")
        return
    exits = _exits(running.pid)
    os.kill(running.pid, signal.SIGTERM)
    if not runtime.wait_until_gone(STOP_SECONDS):
        fail(f"process {running.pid} has not stopped after {STOP_SECONDS:.0f} s")
    if exits:
        select.select(exits, [], [], STOP_SECONDS)
    typer.echo("The cluster has stopped.")


def _exits(pid: int) -> list[int]:
    """A descriptor that is readable when the process has ended, on systems that have such.

    The cluster is gone with its lock; its interpreter takes a moment longer.
    """
    return [os.pidfd_open(pid)] if sys.platform == "linux" else []
