from __future__ import annotations

import pytest

from deployments.gateway.ids import brought_id, next_traceparent, ulid, ulid_time
from tests.deployments.gateway.scripted import entropy

TRACE = "0af7651916cd43dd8448eb211c80319c"


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


def test_a_trace_is_continued_under_a_new_span() -> None:
    received = f"00-{TRACE}-b7ad6b7169203331-00"
    assert next_traceparent(received, entropy) == f"00-{TRACE}-{'07' * 8}-00"


@pytest.mark.parametrize(
    "received",
    [
        None,
        "nonsense",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-b7ad6b7169203331-01",
    ],
)
def test_an_invalid_trace_is_replaced(received: str | None) -> None:
    assert next_traceparent(received, entropy) == f"00-{'07' * 16}-{'07' * 8}-01"
