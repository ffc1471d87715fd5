"""What clients saw of a run, and what is wrong with it. Pure: times are given, in seconds of one clock.

A *reading* is one connection, a *story* all readings of one request with the answer that it has when nothing fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["refused", "lost", "repeated", "different", "terminal", "numbering", "disagreement"]


REFUSALS = (429, 503)
"""What a client is told that had better ask again: its request was never accepted, so it is not lost."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream. Frames of the answer are numbered, canvas frames and errors are not.

    ``finish`` is why the answer ended and ``error`` the code of what came instead of its rest.
    """

    at: float
    number: int | None = None
    text: str = ""
    finish: str | None = None
    error: str | None = None

    @property
    def is_terminal(self) -> bool:
        return self.finish is not None or self.error is not None


@dataclass(frozen=True, slots=True)
class Reading:
    """One connection: it asked for the frames behind ``after`` and was answered with ``status``.

    ``whole`` says that the stream was ended by its server and not by the loss of the connection.
    """

    opened: float
    status: int
    frames: tuple[Frame, ...] = ()
    after: int = 0
    whole: bool = False

    @property
    def numbered(self) -> tuple[Frame, ...]:
        return tuple(frame for frame in self.frames if frame.number is not None)


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of a request that nothing disturbed, why it ended, and the position-forwards that it took."""

    text: str
    finish: str
    position_forwards: int


@dataclass(frozen=True, slots=True)
class Story:
    """One request. ``id`` is the server's name of it, ``position_forwards`` is in its usage; a client may miss both."""

    name: str
    readings: tuple[Reading, ...]
    expected: Answer
    id: str = ""
    position_forwards: int | None = None

    @property
    def commits(self) -> tuple[float, ...]:
        """When text arrived, or the end of a whole answer."""
        frames = (frame for reading in self.readings for frame in reading.frames)
        return tuple(sorted(frame.at for frame in frames if frame.text or frame.finish is not None))


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken promise to the client of the request ``name``."""

    name: str
    kind: FaultKind
    detail: str


def faults(story: Story) -> tuple[Fault, ...]:
    """Everything that is wrong with ``story``; empty when its client could not tell that anything had failed."""
    found = [*_in_readings(story), *_between_readings(story)]
    if not found:
        found += _in_answer(story)
    return tuple(Fault(story.name, kind, detail) for kind, detail in found)


Found = Iterator[tuple[FaultKind, str]]


def _in_readings(story: Story) -> Found:
    """Each connection by itself: frames one after the other, an end, and nothing behind it."""
    ends_at = [end.number or 0 for reading in story.readings for end in reading.numbered if end.is_terminal]
    last = min(ends_at, default=0)
    for reading in story.readings:
        if reading.status != 200:
            codes = [frame.error or "" for frame in reading.frames]
            kind: FaultKind = "refused" if reading.status in REFUSALS else "lost"
            yield kind, " ".join([f"answered with {reading.status}", *codes])
            continue
        expected = reading.after + 1
        for frame in reading.numbered:
            number = frame.number or 0
            if number < expected:
                yield "repeated", f"frame {number} where {expected} was due"
            elif number > expected:
                yield "numbering", f"frame {number} where {expected} was due"
            expected = number + 1
        ends = [index for index, frame in enumerate(reading.frames) if frame.is_terminal]
        if len(ends) > 1:
            yield "terminal", f"{len(ends)} terminal events"
        if ends and any(frame.text for frame in reading.frames[ends[0] + 1 :]):
            yield "terminal", "text behind the terminal event"
        if reading.whole and not ends and not 0 < last <= reading.after:
            yield "terminal", "the stream ended without a terminal event"
        yield from (("lost", frame.error) for frame in reading.frames if frame.error is not None)


def _between_readings(story: Story) -> Found:
    """All connections together: a frame is the same to whoever reads it, and somebody saw the end."""
    seen: dict[int, tuple[str, str | None]] = {}
    for reading in story.readings:
        for frame in reading.numbered:
            known = seen.setdefault(frame.number or 0, (frame.text, frame.finish))
            if known != (frame.text, frame.finish):
                yield "disagreement", f"frame {frame.number} is {known[0]!r} and {frame.text!r}"
    accepted = any(reading.status not in REFUSALS for reading in story.readings)
    if accepted and not any(frame.is_terminal for reading in story.readings for frame in reading.frames):
        yield "lost", "no reading has the end"


def _in_answer(story: Story) -> Found:
    """The frames put together are the answer."""
    frames: dict[int, Frame] = {}
    for reading in story.readings:
        frames.update({frame.number or 0: frame for frame in reading.numbered})
    if sorted(frames) != list(range(1, len(frames) + 1)):
        yield "lost", f"frames {sorted(frames)} have gaps"
        return
    text = "".join(frames[number].text for number in sorted(frames))
    finish = next(frame.finish for frame in frames.values() if frame.finish is not None)
    if text != story.expected.text:
        yield "different", f"{text!r} instead of {story.expected.text!r}"
    if finish != story.expected.finish:
        yield "different", f"finished by {finish} instead of {story.expected.finish}"


def recovery(story: Story, killed: float, begun: Sequence[float]) -> float | None:
    """Seconds from a kill to the next text of ``story`` that was not under way already.

    ``begun`` is when its runs began. ``None`` when there was no other run: the killed one had told everything.
    """
    resumed = next((at for at in begun if at > killed), math.inf)
    return next((at - killed for at in story.commits if at > resumed), None)


def extra_work(stories: Sequence[Story]) -> float:
    """Position-forwards beyond those of undisturbed runs, as a share of these."""
    told = [(story.position_forwards, story.expected) for story in stories if story.position_forwards is not None]
    needed = sum(expected.position_forwards for _, expected in told)
    return sum(spent for spent, _ in told) / needed - 1.0 if needed else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The least of ``values`` that at least ``share`` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def tally(found: Sequence[Fault]) -> Mapping[FaultKind, int]:
    """How many requests have a fault of each kind."""
    kinds = {fault.kind for fault in found}
    return {kind: len({fault.name for fault in found if fault.kind == kind}) for kind in sorted(kinds)}
