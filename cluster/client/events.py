"""What a stream brings, one value a part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.client.answers import Usage


@dataclass(frozen=True, slots=True)
class Started:
    """A replica has admitted the request. Under ``id`` its record and, if it is stored, its stream can be read."""

    id: str
    model: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Final text: the deltas of one ``choice`` add up to its text. In an infill those of one ``hole`` add up to what
    fills it; the ``hole`` of the template's own text is ``None``. ``logprobs`` are as the endpoint tells them.
    """

    text: str
    choice: int = 0
    hole: int | None = None
    logprobs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CanvasFrame:
    """A view of a canvas, which may be revised until its text comes as a :class:`TextDelta`.

    It is either a snapshot, with the ``text`` of all its ``length`` positions and U+2591 for those that are masked, or
    a patch: ``edits`` are the positions whose text has changed, counted from the end of the prompt, and ``None`` is
    masked again. The first canvas of an answer is ``block`` 0 and begins at ``start`` 0.
    """

    sequence: int
    block: int
    step: int
    max_steps: int | None
    masked: int
    start: int
    length: int
    committed_chars: int
    text: str | None = None
    edits: tuple[tuple[int, str | None], ...] | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice has ended, as its ``reason`` says; ``is_late`` if its deadline ended it."""

    reason: str
    choice: int = 0
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """What all choices cost together; the last event."""

    usage: Usage


Event = Started | TextDelta | CanvasFrame | Finished | Used


def events_of(chunk: Mapping[str, Any]) -> Iterator[Event]:
    """The events of a chunk of any endpoint, but for :class:`Started`."""
    diffusion = chunk.get("diffusion") or {}
    for part in chunk.get("choices", (chunk,)):
        choice = part.get("index", 0)
        if "seq" in diffusion:
            yield _frame(diffusion, choice)
            return
        text, hole = _text(part)
        if text:
            yield TextDelta(text, choice, hole, part.get("logprobs"))
        if part.get("finish_reason") is not None:
            yield Finished(part["finish_reason"], choice, diffusion.get("finish") == "deadline")
    if chunk.get("usage") is not None:
        yield Used(Usage.model_validate(chunk["usage"]))


def _text(part: Mapping[str, Any]) -> tuple[str, int | None]:
    """The text of a choice of a chat or a completion, or of an infill, and the hole that it is in."""
    delta = part.get("delta", part.get("text"))
    if isinstance(delta, Mapping):
        delta = delta.get("content")
    return delta or "", part.get("hole")


def _frame(diffusion: Mapping[str, Any], choice: int) -> CanvasFrame:
    edits = diffusion.get("edits")
    return CanvasFrame(
        sequence=diffusion["seq"],
        block=diffusion["block"],
        step=diffusion["step"],
        max_steps=diffusion["max_steps"],
        masked=diffusion["masked"],
        start=diffusion["start"],
        length=diffusion["length"],
        committed_chars=diffusion["committed_chars"],
        text=diffusion.get("text"),
        edits=None if edits is None else tuple((edit["pos"], edit["text"]) for edit in edits),
        choice=choice,
    )
