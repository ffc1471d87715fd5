"""How much is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """The longest log and the largest checkpoint of a request, and the unread messages of a gateway.

    The entry that ends a request is taken all the same; of more messages, the oldest are dropped.
    """

    log_entries: int = 16_384
    log_bytes: int = 4 << 20
    checkpoint_bytes: int = 16 << 20
    inbox_messages: int = 1000

    def allow(self, entries: int, size: int) -> bool:
        """Whether a log may have so many entries, of ``size`` bytes together."""
        return entries <= self.log_entries and size <= self.log_bytes
