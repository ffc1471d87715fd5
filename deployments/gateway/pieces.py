"""An answer as a row of pieces: text that is given and holes that the model fills."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pinned:
    """Given ``text``, answered as it is. It takes ``length`` committed positions, none when it lies in the prompt."""

    text: str
    length: int


@dataclass(frozen=True, slots=True)
class Hole:
    """At most ``length`` tokens of the model's; an end-of-sequence token ends it earlier."""

    length: int


Piece = Pinned | Hole
