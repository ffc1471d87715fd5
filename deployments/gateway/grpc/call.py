"""A call as Ray Serve is shown it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc

REQUEST_ID = "x-request-id"
REMAINING = "x-dllm-remaining-ms"
"""Metadata by which the door tells a method how long the client waits for its answer."""

RAY_REQUEST_ID = "request_id"
OURS = frozenset({REQUEST_ID, REMAINING, RAY_REQUEST_ID})
ORDERS = frozenset({"application", "multiplexed_model_id", "session_id"})
"""Metadata by which a client would tell Ray Serve where a call goes."""


class Call:
    """The call with the metadata that the door adds. What Ray Serve says of its end stays here."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], request_id: str) -> None:
        self._context, self.request_id = context, request_id
        self._code: Any = 0
        self._details = ""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """As it was sent, but with one id, which is Ray's too, and the time that is left, and without orders."""
        sent = self._context.invocation_metadata() or ()
        brought = [(name, value) for name, value in sent if name not in OURS | ORDERS]
        identity = [(REQUEST_ID, self.request_id), (RAY_REQUEST_ID, self.request_id)]
        remaining = self._context.time_remaining()
        budget = [] if remaining is None else [(REMAINING, str(int(remaining * 1000)))]
        return [*brought, *identity, *budget]

    def code(self) -> Any:
        """The status that Ray Serve has set: 0 before it has."""
        return self._code

    def details(self) -> str:
        """What it says of that."""
        return self._details

    def set_code(self, code: Any) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def trailing_metadata(self) -> tuple[()]:
        return ()

    def set_trailing_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        """A method's metadata travels in its replies."""

    def set_compression(self, compression: grpc.Compression) -> None:
        """A method does not ask for any."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._context.auth_context()

    def peer(self) -> str:
        return self._context.peer()

    def peer_identities(self) -> Iterable[bytes] | None:
        return self._context.peer_identities()

    def peer_identity_key(self) -> str | None:
        return self._context.peer_identity_key()
