from __future__ import annotations

import re

from cluster.keys import make_key


def test_a_key_names_its_environment_and_reads_as_one_word() -> None:
    assert re.fullmatch(r"dllm_dev_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", make_key("dev"))


def test_all_of_it_comes_from_the_entropy() -> None:
    assert make_key("dev", bytes) == make_key("dev", bytes)
    assert make_key("dev", lambda count: b"\1" * count) != make_key("dev", bytes)
    assert make_key("dev") != make_key("dev")


def test_the_checksum_covers_environment_and_secret() -> None:
    assert make_key("dev", bytes)[-6:] != make_key("live", bytes)[-6:]
