"""The seam between the application and the place where request state lives.

Of a request there is a *record*, and while it runs a *lease*, a *checkpoint* and the *plan* that another gateway needs
to go on with it. What its clients may read again is its *log*: entries numbered from 1, of which the last one is
terminal. The store does not look into plans, checkpoints and entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord, Status


class StateError(RuntimeError):
    """The store refused: a write does not fit what is there, or what is there cannot be read."""


class Missing(StateError):
    """There is no such request: it has expired, was deleted, or was lost with the store's memory."""


class Fenced(StateError):
    """Another gateway has the lease: the epoch of the write is not that of the record."""


class Ended(StateError):
    """The request has ended; nothing is written to it any more."""


class LogFull(StateError):
    """The write would make the log longer, or the checkpoint larger, than a request may have."""


class StateUnavailable(StateError):
    """The store did not answer in time, so whether a write took effect is unknown. Writes may be repeated."""


class RequestKey(NamedTuple):
    """A request of a tenant."""

    tenant: str
    id: str


@dataclass(frozen=True, slots=True)
class Change:
    """One write of who has the lease: all of it takes effect, or nothing. ``now`` is in Unix seconds.

    ``entries`` follow the first ``after`` ones of the log; those that are there already must be equal. A terminal
    ``status`` ends the request: its lease, checkpoint and plan are dropped.
    """

    now: float
    after: int = 0
    entries: Sequence[bytes] = ()
    checkpoint: bytes | None = None
    lease_until: float | None = None
    status: Status | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a gateway needs to go on with a request whose lease it has taken."""

    record: RequestRecord
    plan: bytes
    checkpoint: bytes | None
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Which request an idempotency key stands for, and the digest of the payload that came with it."""

    id: str
    digest: str


class RequestStore(Protocol):
    """Requests, each under its tenant.

    Each write takes effect as a whole, renews the time to live of all that is kept of the request, and may be repeated
    without harm. Any call may raise :class:`StateUnavailable`.
    """

    async def create(
        self, record: RequestRecord, *, plan: bytes | None = None, lease_until: float | None = None
    ) -> None:
        """Keep a new record; its ``owner`` has the lease with epoch 1. Raises :class:`StateError` when another one has
        its id.
        """

    async def write(self, key: RequestKey, epoch: int, change: Change) -> None:
        """Apply ``change``. Raises :class:`Missing`, :class:`Fenced`, :class:`Ended`, :class:`LogFull`, and
        :class:`StateError` when the entries leave a gap or contradict those that are there. A terminal entry always has
        room in the log.
        """

    async def get(self, key: RequestKey) -> RequestRecord | None:
        """The record, or ``None`` when it does not exist, has expired, or belongs to another tenant."""

    async def entries(self, key: RequestKey, after: int = 0, wait_seconds: float = 0.0) -> tuple[bytes, ...]:
        """The entries of the log behind the first ``after`` ones; when there are none yet, those that come within
        ``wait_seconds``.
        """

    async def delete(self, key: RequestKey) -> bool:
        """Forget the request; whether there was one."""

    async def expired(self, now: float, limit: int) -> tuple[RequestKey, ...]:
        """Requests whose lease ended before ``now``, the oldest first: those that have not ended, and those that have
        and are not :meth:`settled`.
        """

    async def settled(self, key: RequestKey) -> None:
        """Nothing is owed any more for the request, if it has ended or is gone: it is no longer an expired one."""

    async def acquire(self, key: RequestKey, owner: str, now: float, lease_until: float) -> Unfinished | None:
        """Take an expired lease: the record has the next epoch. ``None`` when somebody has it, the request has ended or
        is gone. The ``plan`` is empty when the request was created without one.
        """

    async def claim(self, tenant: str, token: str, claim: Claim) -> Claim:
        """Make ``token`` stand for ``claim`` unless it stands for another one; returns what it stands for."""

    async def claimed(self, tenant: str, token: str) -> Claim | None:
        """What ``token`` stands for, if for anything."""

    async def send(self, owner: str, message: str) -> None:
        """Leave a message for a gateway."""

    async def receive(self, owner: str, wait_seconds: float) -> tuple[str, ...]:
        """Messages left for ``owner`` that it has not received yet, waiting for the first one."""

    async def ping(self) -> bool:
        """Whether the store answers."""

    async def close(self) -> None:
        """Release the connections."""
