"""The processes that this one has started, directly or not, and signals to them."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def descendants() -> dict[int, str]:
    """Each living descendant with its title."""
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*"):
        parent = _parent(entry)
        if parent is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    pending = [os.getpid()]
    while pending:
        born = children.get(pending.pop(), [])
        found += born
        pending += born
    return {pid: _title(pid) for pid in found}


def titled(prefix: str) -> list[int]:
    """The descendants whose title begins with ``prefix``."""
    return [pid for pid, title in descendants().items() if title.startswith(prefix)]


def signal_descendant(pid: int, signal: int) -> None:
    """Send a signal. Raises :class:`ProcessLookupError` for a process that is gone, or is none of ours."""
    if pid not in descendants():
        raise ProcessLookupError(f"process {pid} is no descendant of this one")
    os.kill(pid, signal)


def _parent(entry: Path) -> int | None:
    """``None`` when the process is gone, or only waits for its parent to notice its end."""
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _title(pid: int) -> str:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
