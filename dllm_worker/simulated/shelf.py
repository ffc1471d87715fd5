"""The names of pages that a simulated engine holds for others to share, without anything in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Shelf:
    """At most ``pages`` names; those that were of no use for the longest time make room for new ones."""

    pages: int
    names: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        return tuple(self.names)

    def leading(self, hashes: Sequence[bytes]) -> int:
        """How many of ``hashes`` are held, from the first on."""
        held = next((number for number, name in enumerate(hashes) if name not in self.names), len(hashes))
        self.put(hashes[:held])
        return held

    def put(self, hashes: Iterable[bytes]) -> None:
        """Hold ``hashes``."""
        for name in hashes:
            self.names[name] = None
            self.names.move_to_end(name)
        while len(self.names) > self.pages:
            self.names.popitem(last=False)
