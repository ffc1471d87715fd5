"""What an engine is to those who drive it, whatever computes the steps. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from dllm_worker.request import Event, Finish, Request, Usage
from dllm_worker.scheduling.planner import StepBudget, StepKind
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What one engine takes on: requests denoised together, position-forwards a step, cached positions.

    ``refresh_budget`` is the share of a step for prefill, refresh and commit rows while canvases are denoised;
    ``None`` is a quarter of it.
    """

    max_running: int = 32
    position_budget: int = 1024
    refresh_budget: int | None = None
    cache_positions: int = 16_384

    @property
    def step_budget(self) -> StepBudget:
        return StepBudget(self.position_budget, self.refresh_budget)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A momentary view; since the start the steps, the position-forwards, the positions whose keys and values other
    requests had written, and the requests parked for more urgent ones.

    ``flops`` and ``bytes`` are what the steps had to do at least, by their shapes, see :class:`dllm_worker.work.Work`,
    and ``kinds`` the position-forwards of each kind.
    """

    running: int
    waiting: int
    free_pages: int
    pages: int
    steps: int
    position_forwards: int
    reused_positions: int
    preemptions: int
    flops: float
    bytes: float
    kinds: Mapping[StepKind, int]


class CheckpointError(ValueError):
    """Bytes that are no checkpoint of this version, or one of another request."""


def fingerprint(request: Request) -> str:
    """Sixteen hex digits over everything that shapes the answer; not the identity, urgency or who listens."""
    shaping = replace(request, id="", cache_salt="", priority=0, deadline=None, drafts=False)
    return hashlib.sha256(repr(shaping).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine has before it.

    ``backlog`` are the position-forwards that all who run or wait are expected to take to their end, ``refresh_due``
    those of the refresh phase in each of the next steps, and ``prefixes`` the hashes of the pages whose keys and
    values others may share.
    """

    free_places: int
    backlog: int
    refresh_due: tuple[int, ...]
    prefixes: tuple[bytes, ...]


class Portable(Protocol):
    """A request in mid-flight as a value. No later step changes it, so any thread may ask for its bytes."""

    @property
    def is_large(self) -> bool:
        """Whether writing its bytes takes long enough to keep others waiting."""

    def to_bytes(self) -> bytes: ...


CheckpointT = TypeVar("CheckpointT", bound=Portable)


class StepEngine(Protocol[CheckpointT]):
    """Requests join and leave between steps. Single-threaded but for :meth:`read_checkpoint`."""

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""

    @property
    def has_work(self) -> bool:
        """Whether a request runs or waits."""

    def add(self, request: Request) -> None:
        """Queue a request; :class:`RequestError` when this engine can never run it."""

    def resume(self, request: Request, checkpoint: CheckpointT) -> None:
        """Queue a request that goes on where ``checkpoint`` was taken.

        Raises :class:`RequestError`, and :class:`CheckpointError` for the checkpoint of another request.
        """

    def read_checkpoint(self, data: bytes) -> CheckpointT:
        """The checkpoint in ``data``; :class:`CheckpointError` when there is none that this engine reads."""

    def checkpoint(self, request_id: str) -> CheckpointT | None:
        """A running request as it is, which runs on; ``None`` when it does not run."""

    def park(self, request_id: str) -> CheckpointT | None:
        """Take a request out as a value; ``None`` when it has not started or is not here."""

    def conclude(self, request_id: str) -> Finish | None:
        """End a request with the canvas it has.

        A canvas in the middle of its steps is filled in its next one, which ends the request with the reason
        ``deadline``. Where no canvas is begun, or the request waits for a place, it ends at once, and this is its end.
        """

    def abort(self, request_id: str) -> Finish | None:
        """Forget a request at once; what it has used, or ``None`` when it is not here."""

    def admitted(self, request_id: str) -> bool:
        """Whether the request has left the queue for the batch."""

    def at_boundary(self, request_id: str) -> bool:
        """Whether a running request stands between two canvases."""

    def usage(self, request_id: str) -> Usage:
        """What a request that runs or waits has used since its start; nothing when it is not here."""

    def step(self) -> list[Event]:
        """One pass; what became of it."""

    def stats(self) -> EngineStats:
        """Counters and gauges as of the last step."""

    def load(self) -> EngineLoad:
        """What is still to be done, and what is cached."""

    def check_integrity(self) -> None:
        """Raise when what is held and what is accounted for differ."""
