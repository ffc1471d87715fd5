"""Ray's label selectors, as Ray takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._private.label_utils import validate_label_selector

from cluster.kubernetes.selectors import selects

NAMES = st.sampled_from(["H100", "L40S", "spot"])
CONDITIONS = st.one_of(
    NAMES,
    NAMES.map("!{}".format),
    st.lists(NAMES, min_size=1).map(lambda names: f"in({', '.join(names)})"),
    st.lists(NAMES, min_size=1).map(lambda names: f"!in({','.join(names)})"),
)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("H100", "H100", True),
        ("H100", "H200", False),
        ("H100", None, False),
        ("!H100", "H200", True),
        ("!H100", None, True),
        ("in(H100, H200)", "H200", True),
        ("in(H100,H200)", "L40S", False),
        ("!in(H100,H200)", "L40S", True),
        ("!in(H100,H200)", "H100", False),
    ],
)
def test_a_condition_is_one_value_or_several_or_their_opposite(condition: str, value: str | None, holds: bool) -> None:
    assert selects({"kind": condition}, {} if value is None else {"kind": value}) is holds


def test_every_condition_has_to_hold() -> None:
    assert selects({}, {})
    assert not selects({"a": "x", "b": "y"}, {"a": "x"})


@given(condition=CONDITIONS)
def test_what_ray_takes_is_read(condition: str) -> None:
    assert validate_label_selector({"kind": condition}) is None
    assert selects({"kind": condition}, {"kind": "H100"}) in (True, False)


@pytest.mark.parametrize("condition", ["", "in()", "in(H100", "!!H100", "H100)"])
def test_what_ray_refuses_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="not a condition"):
        selects({"kind": condition}, {"kind": "H100"})
