"""The memory of a set of processes."""

from __future__ import annotations

from pathlib import Path


def proportional_mebibytes(variable: str) -> float:
    """Memory of all processes with ``variable`` (``NAME=value``) in their environment, shared pages counted once."""
    wanted = variable.encode()
    return sum(_pss_kibibytes(process) for process in Path("/proc").glob("[0-9]*") if _has(process, wanted)) / 1024


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
