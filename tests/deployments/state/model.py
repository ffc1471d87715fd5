"""What a store keeps of requests, told as simply as can be, for random sequences of calls to be compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.state.record import TERMINAL
from deployments.state.store import Change, Ended, Fenced, LogFull, Missing, RequestKey, StateError


@dataclass
class ModelRequest:
    """One request. ``lease_until`` of one that has ended is the end of its last lease."""

    owner: str
    lease_until: float
    settled: bool = False
    epoch: int = 1
    status: str = "queued"
    checkpoint: bytes | None = None
    log: list[bytes] = field(default_factory=list)
    end: Change | None = None


@dataclass
class Model:
    """All requests, each with a log of ``max_entries`` at most."""

    max_entries: int
    requests: dict[RequestKey, ModelRequest] = field(default_factory=dict)

    def refusal(self, key: RequestKey, epoch: int, change: Change) -> type[StateError] | None:
        """What a store raises for a write."""
        request = self.requests.get(key)
        if request is None:
            return Missing
        if request.epoch != epoch:
            return Fenced
        if request.end is not None:
            logged = request.log[change.after :][: len(change.entries)]
            repeats = change.after <= len(request.log) and logged == [*change.entries]
            return None if change.status == request.status and repeats else Ended
        if change.after > len(request.log):
            return StateError
        grown = [*request.log[: change.after], *change.entries]
        if grown[: len(request.log)] != request.log[: len(grown)]:
            return StateError
        countable = len(grown) - (change.status in TERMINAL)
        return LogFull if len(grown) > len(request.log) and countable > self.max_entries else None

    def write(self, key: RequestKey, change: Change) -> None:
        """Apply a write that is not refused."""
        request = self.requests[key]
        if request.end is not None:
            return
        request.log[change.after : change.after + len(change.entries)] = change.entries
        request.checkpoint = change.checkpoint or request.checkpoint
        request.status = change.status or request.status
        if change.status in TERMINAL:
            request.end, request.checkpoint = change, None
        elif change.lease_until is not None:
            request.lease_until = change.lease_until

    def settle(self, key: RequestKey) -> None:
        """Take a request that has ended out of the expired ones."""
        if key in self.requests:
            self.requests[key].settled = self.requests[key].end is not None

    def expired(self, now: float) -> set[RequestKey]:
        """Whose last lease ended before ``now``, unless they are settled."""
        return {key for key, request in self.requests.items() if request.lease_until < now and not request.settled}

    def abandoned(self, now: float) -> set[RequestKey]:
        """Those of them that have not ended."""
        return {key for key in self.expired(now) if self.requests[key].end is None}
