"""How much of what a canvas shows stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Views:
    """The views of the canvases of one answer, as patches. What a position shows last is what it was committed as."""

    _now: dict[int, str] = field(default_factory=dict)
    _shown: Counter[tuple[int, str]] = field(default_factory=Counter)

    def show(self, view: Mapping[str, Any]) -> None:
        """One more view: the ``diffusion`` object of a chunk in the format ``patch``."""
        for edit in view["edits"]:
            if edit["text"] is None:
                self._now.pop(edit["pos"], None)
            else:
                self._now[edit["pos"]] = edit["text"]
        places = range(view["start"], view["start"] + view["length"])
        self._shown.update((place, self._now[place]) for place in places if place in self._now)

    def count(self) -> tuple[int, int]:
        """The characters of all views, masks left out, and those among them that stayed to the end."""
        sizes = {seen: times * len(seen[1]) for seen, times in self._shown.items()}
        stayed = sum(size for (place, text), size in sizes.items() if self._now.get(place) == text)
        return sum(sizes.values()), stayed
