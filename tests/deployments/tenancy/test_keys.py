from __future__ import annotations

import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.tenancy.keys import digest_of, make_key, parse_key

KEY = make_key("dev", bytes)


def test_a_key_names_its_environment_and_reads_as_one_word() -> None:
    assert re.fullmatch(r"dllm_dev_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", make_key("dev"))


def test_all_of_it_comes_from_the_entropy() -> None:
    assert make_key("dev", bytes) == make_key("dev", bytes)
    assert make_key("dev", lambda count: b"\1" * count) != make_key("dev", bytes)
    assert make_key("dev") != make_key("dev")


def test_the_secret_has_256_bits() -> None:
    assert 62**43 > 2**256
    assert make_key("dev", lambda count: b"\xff" * count) != make_key(
        "dev", lambda count: b"\xff" * (count - 1) + b"\0"
    )
    assert make_key("dev", lambda count: b"\xff" * count) != make_key(
        "dev", lambda count: b"\x7f" + b"\xff" * (count - 1)
    )


def test_the_checksum_covers_environment_and_secret() -> None:
    assert make_key("dev", bytes)[-6:] != make_key("live", bytes)[-6:]


@given(st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True), st.binary(min_size=32, max_size=32))
def test_what_is_made_is_parsed(environment: str, random: bytes) -> None:
    text = make_key(environment, lambda count: random[:count])
    key = parse_key(text)
    assert (key.environment, key.id, key.text) == (environment, text.split("_")[2], text)
    assert key.digest == digest_of(text) == sha256(text.encode()).hexdigest()


@given(st.integers(0, len(KEY) - 1), st.characters(codec="utf-8"))
def test_a_mistyped_character_is_found(position: int, other: str) -> None:
    mistyped = KEY[:position] + other + KEY[position + 1 :]
    if mistyped != KEY:
        with pytest.raises(ValueError, match=r"expected a key|checksum"):
            parse_key(mistyped)


@pytest.mark.parametrize("text", ["", "sk-123", KEY[:-1], KEY + "0", f" {KEY}", f"{KEY}\n", KEY.upper(), KEY * 2])
def test_other_texts_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="expected a key") as refusal:
        digest_of(text)
    assert len(text) < 2 or text not in str(refusal.value)


def test_a_key_is_not_shown() -> None:
    assert KEY not in repr(parse_key(KEY))


@pytest.mark.parametrize("environment", ["", "Dev", "a_b", "a" * 17])
def test_an_environment_that_no_key_can_have_is_refused(environment: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters and digits"):
        make_key(environment)
