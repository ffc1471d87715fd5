"""Amounts of Kubernetes, as its own client reads them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from cluster.kubernetes.objects import condition_of, part, quantity

UNITS = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


@given(number=st.decimals(-1000, 1000, places=3), unit=st.sampled_from(UNITS))
def test_an_amount_is_what_the_official_client_reads(number: Decimal, unit: str) -> None:
    official = parse_quantity(f"{number}{unit}")  # type: ignore[no-untyped-call]
    assert quantity(f"{number}{unit}") == official


@pytest.mark.parametrize(("text", "amount"), [("1e3", 1000), ("12E2", 1200), (".5", Decimal("0.5")), (8, 8)])
def test_exponents_and_plain_numbers_are_amounts(text: str | int, amount: object) -> None:
    assert quantity(text) == amount


@pytest.mark.parametrize("text", ["", "8 Gi", "Gi", "1ki", "one", "1e", "0x10"])
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


def test_absent_parts_are_empty() -> None:
    assert part({"spec": None}, "spec", "template") == {}
    assert condition_of({"status": {"conditions": None}}, "Ready") == {}
