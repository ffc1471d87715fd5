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
from deployments.gateway.choices import Choice
from deployments.gateway.logprobs import chances_of, chat_logprobs, completion_logprobs
from deployments.gateway.usage import total, usage_json
from deployments.gateway.writer import Delta, TokenChance

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect(ABC):
    """What all chunks of one answer share, and the words of one endpoint. ``created`` is in Unix seconds;
    ``service_tier`` is that of the band that was used.
    """

    id: str
    created: int
    model: str
    revision: str
    service_tier: str

    answer_object: ClassVar[str]
    chunk_object: ClassVar[str]

    @abstractmethod
    def content(
        self, choice: int = 0, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False
    ) -> Json:
        """The part of a chunk that differs between endpoints."""

    @abstractmethod
    def whole(self, choices: Sequence[Choice]) -> Json:
        """The unary answer."""

    def opening(self, choice: int) -> Json:
        """The first chunk of a choice: a replica has admitted the request."""
        return self._chunk(self.content(choice, opening=True))

    def delta(self, delta: Delta) -> Json:
        """A chunk of final text."""
        return self._chunk(self.content(delta.choice, delta))

    def canvas(self, frame: CanvasFrame, sequence: int) -> Json:
        """A chunk without text which shows the canvas to those who asked."""
        return {**self._chunk(self.content(frame.choice)), "diffusion": frame.as_json(sequence)}

    def closing(self, done: Done) -> Json:
        """The last chunk of a choice with content: why it ended."""
        return {**self._chunk(self.content(done.choice, finish_reason=finish_reason(done))), **cut_short(done)}

    def usage(self, dones: Sequence[Done]) -> Json:
        """The chunk after the last one, for clients that asked for usage."""
        return {**self._chunk({"choices": []}), "usage": usage_json(total(dones))}

    def _chunk(self, content: Json) -> Json:
        return {**self._head(self.chunk_object), **content, "usage": None}

    def _answer(self, content: Json, choices: Sequence[Choice]) -> Json:
        dones = [choice.done for choice in choices]
        return {**self._head(self.answer_object), **content, "usage": usage_json(total(dones)), **cut_short(*dones)}

    def _head(self, kind: str) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.revision,
            "service_tier": self.service_tier,
        }


class ChatDialect(Dialect):
    """``/v1/chat/completions``."""

    __slots__ = ()
    answer_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def content(
        self, choice: int = 0, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False
    ) -> Json:
        message: Json = {"role": "assistant"} if opening else {}
        chances: Sequence[TokenChance] = ()
        if delta is not None:
            message["content"], chances = delta.text, delta.chances
        logprobs = chat_logprobs(chances)
        return {"choices": [{"index": choice, "delta": message, "logprobs": logprobs, "finish_reason": finish_reason}]}

    def whole(self, choices: Sequence[Choice]) -> Json:
        return self._answer({"choices": [self._choice(choice) for choice in choices]}, choices)

    def _choice(self, choice: Choice) -> Json:
        return {
            "index": choice.index,
            "message": {"role": "assistant", "content": joined(choice.deltas), "refusal": None},
            "logprobs": chat_logprobs(chances_of(choice.deltas)),
            "finish_reason": finish_reason(choice.done),
        }


class CompletionDialect(Dialect):
    """``/v1/completions``."""

    __slots__ = ()
    answer_object = "text_completion"
    chunk_object = "text_completion"

    def content(
        self, choice: int = 0, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False
    ) -> Json:
        return {"choices": [self._choice(choice, [] if delta is None else [delta], finish_reason)]}

    def whole(self, choices: Sequence[Choice]) -> Json:
        told = [self._choice(choice.index, choice.deltas, finish_reason(choice.done)) for choice in choices]
        return self._answer({"choices": told}, choices)

    def _choice(self, index: int, deltas: Sequence[Delta], finish_reason: str | None) -> Json:
        logprobs = completion_logprobs(chances_of(deltas))
        return {"index": index, "text": joined(deltas), "logprobs": logprobs, "finish_reason": finish_reason}


@dataclass(frozen=True, slots=True)
class InfillDialect(Dialect):
    """``/v1/infill``; ``holes`` is the number of holes. There is one choice."""

    holes: int

    answer_object = "infill"
    chunk_object = "infill.chunk"

    def content(
        self, choice: int = 0, delta: Delta | None = None, *, finish_reason: str | None = None, opening: bool = False
    ) -> Json:
        text, hole = ("", None) if delta is None else (delta.text, delta.hole)
        return {"delta": text, "hole": hole, "finish_reason": finish_reason}

    def usage(self, dones: Sequence[Done]) -> Json:
        return {**self._chunk(self.content()), "usage": usage_json(total(dones))}

    def whole(self, choices: Sequence[Choice]) -> Json:
        (only,) = choices
        holes = [joined([delta for delta in only.deltas if delta.hole == index]) for index in range(self.holes)]
        content = {"text": joined(only.deltas), "holes": holes, "finish_reason": finish_reason(only.done)}
        return self._answer(content, choices)


def finish_reason(done: Done) -> str:
    """Why the answer ended, in the words of the OpenAI API, which knows no deadline."""
    return "length" if done.reason == "deadline" else done.reason


def cut_short(*dones: Done) -> Json:
    """What is said beside that of an answer that its deadline ended."""
    return {"diffusion": {"finish": "deadline"}} if any(done.reason == "deadline" for done in dones) else {}


def joined(deltas: Sequence[Delta]) -> str:
    """The text of ``deltas``."""
    return "".join(delta.text for delta in deltas)
