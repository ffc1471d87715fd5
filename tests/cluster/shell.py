"""`dllm` as a shell runs it, and what it leaves running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"


def dllm(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(home), "HOME": str(home)}
    command = [sys.executable, "-m", "cluster", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def commands_of(home: Path) -> list[str]:
    """The command line of every process that was started by ``dllm`` of that home."""
    return [_read(process / "cmdline").replace("\0", " ") for process in _processes(home)]


def listening(home: Path) -> set[str]:
    """The addresses, in the hexadecimal of the kernel, on which these processes accept TCP connections."""
    sockets = {os.readlink(file) for process in _processes(home) for file in _files(process)}
    tables = [line.split() for table in ("tcp", "tcp6") for line in _read(Path("/proc/net") / table).splitlines()[1:]]
    return {row[1].partition(":")[0] for row in tables if row[3] == LISTENING and f"socket:[{row[9]}]" in sockets}


def _processes(home: Path) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        if f"\0XDG_RUNTIME_DIR={home}\0" in "\0" + _read(process / "environ"):
            yield process


def _files(process: Path) -> list[Path]:
    try:
        return [file for file in (process / "fd").iterdir() if file.is_symlink()]
    except OSError:
        return []


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""
