"""The entries of a request's log, and their form as JSON.

Whoever has the entries can tell the answer, without the model, its tokenizer or the request: a commit holds the text
that it made final beside its tokens. The last entry, and no other, says how the request ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from deployments.errors import RequestCancelled, ServingError, error_of
from deployments.gateway.assembler import Done, Output
from deployments.gateway.writer import Delta


@dataclass(frozen=True, slots=True)
class Committed:
    """``tokens`` that are final from position ``start`` of the answer on, and the text that they made final."""

    start: int
    tokens: tuple[int, ...]
    deltas: tuple[Delta, ...]
    kind: Literal["committed"] = "committed"


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer is whole. ``deltas`` is text that was held back until then."""

    done: Done
    deltas: tuple[Delta, ...] = ()
    kind: Literal["completed"] = "completed"


@dataclass(frozen=True, slots=True)
class Failed:
    """What the client was told instead of the rest of the answer."""

    code: str
    message: str
    parameter: str | None = None
    kind: Literal["failed"] = "failed"

    @staticmethod
    def of(error: ServingError) -> Failed:
        return Failed(error.code, str(error), error.parameter)

    def error(self) -> ServingError:
        """The error again."""
        return error_of(self.code, self.message, self.parameter)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The tenant gave the request up."""

    kind: Literal["cancelled"] = "cancelled"


Entry = Annotated[Committed | Completed | Failed | Cancelled, Field(discriminator="kind")]
End = Completed | Failed | Cancelled

_ENTRY: TypeAdapter[Committed | Completed | Failed | Cancelled] = TypeAdapter(Entry)


def encode_entry(entry: Committed | End) -> bytes:
    """The entry as JSON."""
    return _ENTRY.dump_json(entry)


def decode_entry(data: bytes) -> Committed | End:
    """The inverse of :func:`encode_entry`."""
    return _ENTRY.validate_json(data)


def outputs_of(entry: Committed | End) -> tuple[Output, ...]:
    """What the entry adds to the answer. Raises the error that ended the request."""
    match entry:
        case Committed():
            return entry.deltas
        case Completed():
            return (*entry.deltas, entry.done)
        case Failed():
            raise entry.error()
        case Cancelled():
            raise RequestCancelled


def committed_tokens(log: Iterable[bytes]) -> list[int]:
    """All tokens that the entries of a log commit."""
    entries = (decode_entry(data) for data in log)
    return [token for entry in entries if isinstance(entry, Committed) for token in entry.tokens]
