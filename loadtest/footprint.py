"""The memory and the processor time of a set of processes."""

from __future__ import annotations

import os
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def proportional_mebibytes(variable: str) -> float:
    """Memory of all processes with ``variable`` (``NAME=value``) in their environment, shared pages counted once."""
    return sum(map(_pss_kibibytes, _with(variable))) / 1024


def proportional_mebibytes_below(pid: int, title: str) -> float:
    """Memory of the processes that ``pid`` and those below it have started and that have ``title`` in their names."""
    parents = {int(process.name): _parent(process) for process in Path("/proc").glob("[0-9]*")}
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    processes = (Path("/proc") / str(each) for each in below)
    return sum(_pss_kibibytes(process) for process in processes if title.encode() in _command(process)) / 1024


def processor_seconds(variable: str) -> float:
    """Processor time that the running processes with ``variable`` in their environment have used so far."""
    return sum(map(_ticks, _with(variable))) / CLOCK_TICKS


def _with(variable: str) -> list[Path]:
    return [process for process in Path("/proc").glob("[0-9]*") if _has(process, variable.encode())]


def _has(process: Path, variable: bytes) -> bool:
    try:
        return variable in (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _pss_kibibytes(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _parent(process: Path) -> int:
    """Field 4 of proc_pid_stat(5); 0 for a process that has ended."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _ticks(process: Path) -> int:
    """User and system time, fields 14 and 15 of proc_pid_stat(5); the name before them may hold spaces."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
