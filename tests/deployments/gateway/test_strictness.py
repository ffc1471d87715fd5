from __future__ import annotations

import pytest

from deployments.errors import InvalidRequest, UnknownParameter
from deployments.gateway.strictness import refuse_unknown


@pytest.mark.parametrize(("usually", "header"), [(True, None), (True, "true"), (False, "true")])
def test_the_first_unknown_parameter_is_named(usually: bool, header: str | None) -> None:
    with pytest.raises(UnknownParameter) as refused:
        refuse_unknown(["wild", "wilder"], header, usually=usually)
    assert refused.value.parameter == "wild"


@pytest.mark.parametrize(("usually", "header"), [(False, None), (False, "false"), (True, "false")])
def test_who_is_not_strict_takes_them(usually: bool, header: str | None) -> None:
    refuse_unknown(["wild"], header, usually=usually)


def test_known_parameters_are_taken_by_all() -> None:
    refuse_unknown([], "true", usually=True)


def test_a_header_of_another_value_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse_unknown([], "yes", usually=False)
    assert refused.value.parameter == "x-dllm-strict"
