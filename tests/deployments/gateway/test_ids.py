from __future__ import annotations

import pytest

from deployments.gateway.ids import brought_id, ulid, ulid_time
from tests.deployments.gateway.scripted import entropy


def test_a_ulid_is_26_characters_of_time_and_entropy() -> None:
    # The example of the specification: 1469918176385 ms is 01ARYZ6S41.
    identifier = ulid(1_469_918_176.385, lambda count: b"\xff" * count)
    assert identifier == "01ARYZ6S41" + "Z" * 16


def test_ulids_sort_by_time() -> None:
    times = [1.0, 2.0, 1_700_000_000.0, 1_700_000_000.001]
    identifiers = [ulid(time, entropy) for time in times]
    assert identifiers == sorted(identifiers)


@pytest.mark.parametrize("time", [0.0, 1.0, 1_469_918_176.385, 1_700_000_000.001])
def test_a_ulid_tells_its_time(time: float) -> None:
    assert ulid_time(ulid(time, entropy)) == time


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a", True),
        ("A.b_c-9", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ("a\n", False),
    ],
)
def test_only_safe_ids_are_taken_from_clients(value: str, kept: bool) -> None:
    assert brought_id(value) == (value if kept else None)
