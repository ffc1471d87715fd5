"""The ``logprobs`` of an answer, in the two shapes of the OpenAI API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deployments.gateway.writer import Delta, TokenChance

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def chances_of(deltas: Sequence[Delta]) -> list[TokenChance]:
    """The chances of all tokens of ``deltas``, in order."""
    return [chance for delta in deltas for chance in delta.chances]


def chat_logprobs(chances: Sequence[TokenChance]) -> dict[str, Any] | None:
    """As chat answers have them; ``null`` where there are none."""
    if not chances:
        return None
    content = [
        {
            **_token_json(chance.text, chance.logprob),
            "top_logprobs": [_token_json(text, logprob) for text, logprob in chance.top],
        }
        for chance in chances
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(chances: Sequence[TokenChance]) -> dict[str, Any] | None:
    """As completions have them. Of tokens with the same text the most probable is listed, and the chosen one always."""
    if not chances:
        return None
    tops = [{**dict(reversed(chance.top)), chance.text: chance.logprob} for chance in chances if chance.top]
    return {
        "tokens": [chance.text for chance in chances],
        "token_logprobs": [chance.logprob for chance in chances],
        "top_logprobs": tops or None,
        "text_offset": [chance.offset for chance in chances],
    }


def _token_json(text: str, logprob: float) -> dict[str, Any]:
    """A token that is part of a character only has no text of its own, and no bytes are told."""
    return {"token": text, "logprob": logprob, "bytes": None if _REPLACEMENT in text else list(text.encode())}
