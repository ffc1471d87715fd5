"""What observed workers write of themselves in a folder, so that a nemesis knows whom it hits and what that costs.

Each process of a replica has a folder named by its pid: ``ready`` once Serve counts on it, with its model in it,
``running/<request id>`` while it runs that request, ``runs`` with a line for each run that it began, and ``positions``,
the position-forwards of its engine. All that outlives the process.

A file ``doom`` beside them holds a number of steps and one of deaths: so many replicas kill themselves when they reach
that step in one stretch of work, before they can tell anybody of it.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

FOLDER = "DLLM_CHAOS_FOLDER"
COUNT = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Replica:
    """A worker as its notes show it; ``running`` are the ids of its requests. One that is not ready has no model."""

    pid: int
    model: str
    running: frozenset[str]
    position_forwards: int


class Notes:
    """The folder, from the side of the nemesis."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def replicas(self) -> list[Replica]:
        """All that ever wrote here, the dead among them."""
        return [self._read(running.parent) for running in sorted(self._folder.glob("*/running"))]

    def replica(self, pid: int) -> Replica:
        """What the process wrote last."""
        return self._read(self._folder / str(pid))

    def runs(self) -> dict[str, list[float]]:
        """When a replica began to run each request, in order, on the monotonic clock of this machine."""
        begun: dict[str, list[float]] = {}
        for path in self._folder.glob("*/runs"):
            for line in path.read_text().splitlines():
                at, _, request = line.partition(" ")
                begun.setdefault(request, []).append(float(at))
        return {request: sorted(times) for request, times in begun.items()}

    def doom(self, steps: int, deaths: int = 1) -> None:
        """Have the next replicas that make so many steps without a rest die in the last of them."""
        (self._folder / "doom").write_text(f"{steps} {deaths}")

    @property
    def doomed(self) -> bool:
        """Whether somebody has yet to die of :meth:`doom`."""
        return (self._folder / "doom").exists()

    def spare(self) -> None:
        """Take :meth:`doom` back."""
        (self._folder / "doom").unlink(missing_ok=True)

    def _read(self, path: Path) -> Replica:
        counted = (path / "positions").read_bytes() if (path / "positions").exists() else b""
        positions = COUNT.unpack(counted)[0] if len(counted) == COUNT.size else 0
        running = frozenset(os.listdir(path / "running"))
        model = (path / "ready").read_text() if (path / "ready").exists() else ""
        return Replica(int(path.name), model, running, positions)
