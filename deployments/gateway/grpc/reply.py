"""What a method tells the door: Ray Serve carries bytes between the two, and of a failure little more than a text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Reply:
    """A part of an answer.

    ``payload`` is a message of the method, or with ``failed`` the ``google.rpc.Status`` that ends the call; ``None``
    brings no message. ``metadata`` goes before the first message, or behind the status.
    """

    payload: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False

    def SerializeToString(self) -> bytes:
        """The bytes of the reply, by the name that Ray Serve calls for them."""
        head = json.dumps([dict(self.metadata), self.failed, self.payload is None]).encode()
        return head + b"\n" + (self.payload or b"")

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The reply with these bytes."""
        head, _, payload = data.partition(b"\n")
        metadata, failed, is_empty = json.loads(head)
        return cls(None if is_empty else payload, metadata, failed)
