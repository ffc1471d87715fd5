"""The shapes of ``logprobs``, read by the models of the OpenAI client."""

from __future__ import annotations

from openai.types.chat.chat_completion import ChoiceLogprobs
from openai.types.completion_choice import Logprobs

from deployments.gateway.logprobs import chances_of, chat_logprobs, completion_logprobs
from deployments.gateway.writer import Delta, TokenChance

CHANCES = (
    TokenChance("a", -0.5, 0, (("a", -0.5), ("é", -1.0))),
    TokenChance("\N{REPLACEMENT CHARACTER}", -0.25, 1, (("b", -0.125), ("b", -3.0))),
)


def test_none_is_null() -> None:
    assert chat_logprobs([]) is None
    assert completion_logprobs([]) is None


def test_chat_tells_each_token_with_its_bytes() -> None:
    told = chat_logprobs(CHANCES)
    assert told == {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [
                    {"token": "a", "logprob": -0.5, "bytes": [97]},
                    {"token": "é", "logprob": -1.0, "bytes": [195, 169]},
                ],
            },
            {
                "token": "\N{REPLACEMENT CHARACTER}",
                "logprob": -0.25,
                "bytes": None,
                "top_logprobs": [
                    {"token": "b", "logprob": -0.125, "bytes": [98]},
                    {"token": "b", "logprob": -3.0, "bytes": [98]},
                ],
            },
        ],
        "refusal": None,
    }
    ChoiceLogprobs.model_validate(told, strict=True)


def test_completions_tell_four_lists_of_one_length() -> None:
    told = completion_logprobs(CHANCES)
    assert told == {
        "tokens": ["a", "\N{REPLACEMENT CHARACTER}"],
        "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{"a": -0.5, "é": -1.0}, {"b": -0.125, "\N{REPLACEMENT CHARACTER}": -0.25}],
        "text_offset": [0, 1],
    }
    Logprobs.model_validate(told, strict=True)


def test_without_alternatives_there_is_no_list_of_them() -> None:
    told = completion_logprobs([TokenChance("a", -0.5, 0)])
    assert told is not None
    assert told["top_logprobs"] is None


def test_the_chances_of_an_answer_are_those_of_its_deltas() -> None:
    assert chances_of([Delta("x", None), Delta("a", 0, chances=CHANCES[:1]), Delta("b", 0, chances=CHANCES[1:])]) == [
        *CHANCES
    ]
