"""The shapes of answers and stream chunks, one dialect an endpoint.

A dialect writes the same parts of an answer in the words of its endpoint, so that one stream serves them all. An
infill stream is this project's own: the ``delta`` of its chunks add up to ``text``, and those of one ``hole`` index
to that hole's text; the ``hole`` of pinned text is ``null``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from deployments.gateway.assembler import Done
from deployments.gateway.canvas import CanvasFrame
from deployments.gateway.usage import usage_json
from deployments.gateway.writer import Delta

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect(ABC):
    """What all chunks of one answer share, and the words of one endpoint. ``created`` is in Unix seconds."""

    id: str
    created: int
    model: str
    revision: str

    answer_object: ClassVar[str]
    chunk_object: ClassVar[str]

    @abstractmethod
    def content(self, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False) -> Json:
        """The part of a chunk that differs between endpoints."""

    @abstractmethod
    def whole(self, deltas: Sequence[Delta], done: Done) -> Json:
        """The unary answer."""

    def opening(self) -> Json:
        """The first chunk: a replica has admitted the request."""
        return self._chunk(self.content(opening=True))

    def delta(self, delta: Delta) -> Json:
        """A chunk of final text."""
        return self._chunk(self.content(delta))

    def canvas(self, frame: CanvasFrame, sequence: int) -> Json:
        """A chunk without text which shows the canvas to those who asked."""
        return {**self._chunk(self.content()), "diffusion": frame.as_json(sequence)}

    def closing(self, done: Done) -> Json:
        """The last chunk with content: why the answer ended."""
        return {**self._chunk(self.content(finish_reason=finish_reason(done))), **cut_short(done)}

    def usage(self, done: Done) -> Json:
        """The chunk after the last one, for clients that asked for usage."""
        return {**self._chunk({"choices": []}), "usage": usage_json(done)}

    def _chunk(self, content: Json) -> Json:
        return {**self._head(self.chunk_object), **content, "usage": None}

    def _answer(self, content: Json, done: Done) -> Json:
        return {**self._head(self.answer_object), **content, "usage": usage_json(done), **cut_short(done)}

    def _head(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.revision,
        }


class ChatDialect(Dialect):
    """``/v1/chat/completions``."""

    __slots__ = ()
    answer_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def content(self, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False) -> Json:
        message: Json = {"role": "assistant"} if opening else {}
        if delta is not None:
            message["content"] = delta.text
        return {"choices": [{"index": 0, "delta": message, "logprobs": None, "finish_reason": finish_reason}]}

    def whole(self, deltas: Sequence[Delta], done: Done) -> Json:
        message = {"role": "assistant", "content": joined(deltas), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason(done)}
        return self._answer({"choices": [choice]}, done)


class CompletionDialect(Dialect):
    """``/v1/completions``."""

    __slots__ = ()
    answer_object = "text_completion"
    chunk_object = "text_completion"

    def content(self, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False) -> Json:
        text = "" if delta is None else delta.text
        return {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}]}

    def whole(self, deltas: Sequence[Delta], done: Done) -> Json:
        choice = {"index": 0, "text": joined(deltas), "logprobs": None, "finish_reason": finish_reason(done)}
        return self._answer({"choices": [choice]}, done)


@dataclass(frozen=True, slots=True)
class InfillDialect(Dialect):
    """``/v1/infill``; ``holes`` is the number of holes."""

    holes: int

    answer_object = "infill"
    chunk_object = "infill.chunk"

    def content(self, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False) -> Json:
        text, hole = ("", None) if delta is None else (delta.text, delta.hole)
        return {"delta": text, "hole": hole, "finish_reason": finish_reason}

    def usage(self, done: Done) -> Json:
        return {**self._chunk(self.content()), "usage": usage_json(done)}

    def whole(self, deltas: Sequence[Delta], done: Done) -> Json:
        holes = [joined([delta for delta in deltas if delta.hole == index]) for index in range(self.holes)]
        return self._answer({"text": joined(deltas), "holes": holes, "finish_reason": finish_reason(done)}, done)


def finish_reason(done: Done) -> str:
    """Why the answer ended, in the words of the OpenAI API, which knows no deadline."""
    return "length" if done.reason == "deadline" else done.reason


def cut_short(done: Done) -> Json:
    """What is said beside that of an answer that its deadline ended."""
    return {"diffusion": {"finish": done.reason}} if done.reason == "deadline" else {}


def joined(deltas: Sequence[Delta]) -> str:
    """The text of ``deltas``."""
    return "".join(delta.text for delta in deltas)
