"""The types of the fields of bodies: which values are accepted, and how the others are refused."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from dllm_worker import ranges

UNSUPPORTED = "unsupported_parameter"

LONGEST_NAME = 64
"""Characters of a field's name as it is told: clients choose it where it is not known."""

MOST_METADATA = 16
"""Pairs that a client may have kept with its request."""


def _is_same(value: object, item: object) -> bool:
    """Whether the two are one value of JSON, where 1 is 1.0 and is not true."""
    return value == item and isinstance(value, bool) == isinstance(item, bool)


def only(*neutral: object) -> BeforeValidator:
    """Accept ``null`` and the ``neutral`` values; refuse every other as unsupported."""

    def check(value: object) -> object:
        if value is None or any(_is_same(value, item) for item in neutral):
            return None
        allowed = " or ".join(json.dumps(item) for item in neutral) or "null"
        raise PydanticCustomError(UNSUPPORTED, "not supported; only {allowed} is accepted", {"allowed": allowed})

    accepted = Annotated[Any, WithJsonSchema({"enum": [None, *neutral]})]
    return BeforeValidator(check, json_schema_input_type=accepted)


def within(allowed: ranges.Range) -> Any:
    """The constraint that a number lies in ``allowed``."""
    bounds: dict[str, Any] = {"gt" if allowed.open else "ge": allowed.least}
    if allowed.most < math.inf:
        bounds["le"] = allowed.most
    return Field(**bounds)


def _listed(value: object) -> object:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def flattened(value: object) -> object:
    """The text of a message whose content may be a list of text parts."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
        raise PydanticCustomError(UNSUPPORTED, "only parts of type 'text' are supported")
    texts = [part.get("text") for part in value]
    if not all(isinstance(text, str) for text in texts):
        raise PydanticCustomError("text_part", "each text part needs a string 'text'")
    return "".join(texts)


def _is_token_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int and item >= 0 for item in value)


def one_prompt(value: object) -> object:
    """The single prompt of a completion: text or token ids, bare or as a list of one."""
    if isinstance(value, list) and len(value) == 1 and not _is_token_list(value):
        value = value[0]
    if isinstance(value, str):
        return _unicode(value)
    if _is_token_list(value):
        return value
    if isinstance(value, list) and len(value) > 1:
        raise PydanticCustomError(UNSUPPORTED, "only one prompt a request is supported")
    raise PydanticCustomError("prompt_type", "a string or a list of token ids is expected")


def _unicode(value: str) -> str:
    """JSON can spell half of a surrogate pair, which no text has and nothing can encode."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("string_unicode", "the text is not valid Unicode") from error
    return value


def one_or_many(value: object) -> object:
    """The lengths of holes: one for all of them, or one for each."""
    numbers = value if isinstance(value, list) else [value]
    if not all(type(number) is int and number >= 1 for number in numbers):
        raise PydanticCustomError("hole_tokens_type", "a positive integer or a list of them is expected")
    return value


def _few(value: object) -> object:
    """Counted before each pair is looked at: a body has room for a hundred thousand of them."""
    if isinstance(value, dict) and len(value) > MOST_METADATA:
        raise PydanticCustomError("too_many_pairs", "at most {most} pairs are kept", {"most": MOST_METADATA})
    return value


class Options(BaseModel):
    """A part of a body that takes no fields but its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _first_unknown_alone(cls, value: object) -> object:
        """One unknown field is enough to be refused, and each would take room and time to tell of."""
        if not isinstance(value, dict):
            return value
        unknown = next((name for name in value if name not in cls.model_fields), None)
        return {name: held for name, held in value.items() if name in cls.model_fields or name is unknown}


def example(**fields: object) -> ConfigDict:
    """A body that runs, for ``openapi.json``."""
    return ConfigDict(json_schema_extra={"examples": [cast("JsonDict", {"model": "tiny-code", **fields})]})


Null = Annotated[None, only()]
PositiveInt = Annotated[int, Field(ge=1)]
Text = Annotated[str, AfterValidator(_unicode)]
Label = Annotated[Text, Field(max_length=512)]
ModelName = Annotated[str, Field(max_length=256), AfterValidator(_unicode)]
Metadata = Annotated[
    dict[Annotated[Text, Field(max_length=64)], Label],
    Field(max_length=MOST_METADATA),
    BeforeValidator(_few, json_schema_input_type=dict[str, str]),
]
Stop = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=256)]],
    Field(max_length=4),
    BeforeValidator(_listed, json_schema_input_type=str | list[str] | None),
]
