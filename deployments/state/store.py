"""The seam between the application and the place where request records live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from deployments.state.record import RequestRecord, Status


class StateError(RuntimeError):
    """The store refused: a write does not fit what is there, or what is there cannot be read."""


class StateUnavailable(StateError):
    """The store did not answer in time, so whether a write took effect is unknown. Writes may be repeated."""


class RequestStore(Protocol):
    """Records of requests, each under its tenant.

    Each write takes effect as a whole, renews the record's time to live, and may be repeated without harm. A write to
    a record that does not exist raises :class:`StateError`; any call may raise :class:`StateUnavailable`.
    """

    async def create(self, record: RequestRecord) -> None:
        """Keep a new record. Raises :class:`StateError` when another one has its id."""

    async def append_tokens(self, tenant: str, id: str, start: int, tokens: Sequence[int]) -> None:
        """Commit ``tokens`` at position ``start``.

        Raises :class:`StateError` when that leaves a gap, or would change a token that is committed.
        """

    async def update(
        self,
        tenant: str,
        id: str,
        *,
        now: float,
        status: Status | None = None,
        finish_reason: str | None = None,
        usage: Mapping[str, Any] | None = None,
        error_code: str | None = None,
    ) -> None:
        """Change what is given; ``None`` leaves an attribute as it is. ``now`` is in Unix seconds."""

    async def get(self, tenant: str, id: str) -> RequestRecord | None:
        """The record, or ``None`` when it does not exist, has expired, or belongs to another tenant."""

    async def ping(self) -> bool:
        """Whether the store answers."""

    async def close(self) -> None:
        """Release the connections."""
