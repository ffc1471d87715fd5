"""Asks a cluster through LiteLLM and prints what came back as JSON. It runs outside the project's environment."""

from __future__ import annotations

import json
import os
from typing import Any

import litellm  # type: ignore[import-not-found, unused-ignore]
import openai

MODEL = "openai/tiny-code"
MESSAGES = [{"role": "user", "content": "Write a Python function that adds two numbers."}]
ASKED: dict[str, Any] = {
    "model": MODEL,
    "messages": MESSAGES,
    "max_tokens": 40,
    "seed": 4,
    "api_base": os.environ["BASE_URL"],
    "api_key": os.environ["API_KEY"],
    "num_retries": 0,
}
WRONG: dict[str, dict[str, Any]] = {
    "model": {"model": "openai/gpt-4"},
    "max_tokens": {"max_tokens": 100_000},
    "temperature": {"temperature": 9},
    "key": {"api_key": "nobody"},
}


def counts(usage: Any) -> dict[str, int]:
    """The counts that LiteLLM has of its own."""
    return {name: getattr(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def refused(**changes: Any) -> tuple[str, int]:
    """The exception of a request that fails, which is also one of the SDK's."""
    try:
        litellm.completion(**(ASKED | changes))
    except openai.APIStatusError as error:
        return type(error).__name__, error.status_code
    raise AssertionError("it did not fail")


def main() -> None:
    """Ask everything once."""
    whole = litellm.completion(**ASKED)
    chunks = list(litellm.completion(**ASKED, stream=True, stream_options={"include_usage": True}))
    built = litellm.stream_chunk_builder(chunks, messages=MESSAGES)
    asked = {name: value for name, value in ASKED.items() if name not in ("model", "messages")}
    text = litellm.text_completion(model="text-completion-openai/tiny-code", prompt="def f(", **asked)
    told = {
        "chat": {
            "text": whole.choices[0].message.content,
            "finish_reason": whole.choices[0].finish_reason,
            "usage": counts(whole.usage),
        },
        "stream": {
            "text": built.choices[0].message.content,
            "finish_reason": built.choices[0].finish_reason,
            "usage": counts(built.usage),
        },
        "completion": {"text": text.choices[0].text, "tokens": text.usage.completion_tokens},
        "errors": {name: refused(**changes) for name, changes in WRONG.items()},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
