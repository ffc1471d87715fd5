"""Who breaks things: the processes of a cluster, and what happens to them."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.notes import Notes, Replica
from tests.chaos.processes import descendants, signal_descendant, titled

GATEWAY = "ray::ServeReplica:dllm:gateway"
PROXY = "ray::ProxyActor"
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Kill:
    """A replica that was killed at a time, with the requests that it ran."""

    at: float
    pid: int
    requests: frozenset[str]


class Nemesis:
    """Kills and freezes processes of the cluster that this process has started."""

    def __init__(self, notes: Notes, seed: int = 0) -> None:
        self._notes = notes
        self._random = random.Random(seed)

    def ready(self, model: str) -> list[Replica]:
        """The living replicas of ``model`` whose engines run."""
        alive = descendants()
        return [replica for replica in self._notes.replicas() if replica.model == model and replica.pid in alive]

    def running(self, request_id: str, model: str) -> Replica | None:
        """The living replica that runs the request."""
        return next((replica for replica in self.ready(model) if request_id in replica.running), None)

    def position_forwards(self, model: str) -> int:
        """What all replicas of ``model`` have done, the dead ones too."""
        return sum(replica.position_forwards for replica in self._notes.replicas() if replica.model == model)

    def runs(self) -> dict[str, list[float]]:
        """When each request was begun, by whichever replica."""
        return self._notes.runs()

    def kill(self, replica: Replica) -> Kill:
        """SIGKILL to a replica."""
        current = self._notes.replica(replica.pid)
        signal_descendant(replica.pid, signal.SIGKILL)
        return Kill(time.monotonic(), replica.pid, current.running)

    def kill_any(self, model: str) -> Kill:
        """SIGKILL to one of the ready replicas of ``model``, each as likely as the other."""
        return self.kill(self._random.choice(self.ready(model)))

    def pause(self, least: float, most: float) -> float:
        """A random number of seconds."""
        return self._random.uniform(least, most)

    def freeze(self, replica: Replica) -> None:
        """SIGSTOP to a replica: it is there and does nothing."""
        signal_descendant(replica.pid, signal.SIGSTOP)

    def thaw(self, replica: Replica) -> None:
        """SIGCONT, if it is still there."""
        if replica.pid in descendants():
            signal_descendant(replica.pid, signal.SIGCONT)

    def gateways(self) -> list[int]:
        """The pids of the gateway's replicas."""
        return titled(GATEWAY)

    def proxies(self) -> list[int]:
        """The pids of Ray Serve's proxies."""
        return titled(PROXY)

    def kill_process(self, pid: int) -> None:
        """SIGKILL to any process of the cluster."""
        signal_descendant(pid, signal.SIGKILL)


async def until(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for something that happens elsewhere. Raises :class:`TimeoutError` that says what did not."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        await asyncio.sleep(POLL_SECONDS)
