"""What is said beside a call: who calls, and how long the answer may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self
from urllib.parse import unquote

from deployments.gateway.deadline import HEADER as DEADLINE
from deployments.gateway.deadline import LONGEST_MS, parse_deadline
from deployments.gateway.grpc.call import REMAINING

WAY_BACK = 0.05
"""The share of a call's time that is left for the answer to reach the client before it stops waiting.

gRPC rounds the time up on its way here, by a hundredth at most."""


class CallContext(Protocol):
    """The part of Ray Serve's context that is read."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]: ...
    def peer(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """``headers`` are the metadata; those of one name are one, joined."""

    headers: Mapping[str, str]
    address: str

    @classmethod
    def of(cls, context: CallContext) -> Self:
        """The envelope of a call."""
        headers: dict[str, str] = {}
        for name, value in context.invocation_metadata():
            if isinstance(value, str):
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return cls(headers, _address(context.peer()))

    def terms(self) -> Mapping[str, str]:
        """The headers with the earlier of the two deadlines. Raises :class:`InvalidRequest`."""
        asked = parse_deadline(self.headers.get(DEADLINE))
        remaining = self.headers.get(REMAINING)
        if remaining is None:
            return self.headers
        budget = max(1, int(int(remaining) * (1 - WAY_BACK)))
        return {**self.headers, DEADLINE: str(min(asked or LONGEST_MS, budget, LONGEST_MS))}


def _address(peer: str) -> str:
    """The host in a name of gRPC, as ``ipv4:127.0.0.1:50051`` or ``ipv6:%5B::1%5D:50051``."""
    _, _, address = unquote(peer).partition(":")
    return address.rpartition(":")[0].strip("[]")
