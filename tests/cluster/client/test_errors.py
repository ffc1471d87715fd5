from __future__ import annotations

import re

import pytest

import cluster.client.errors as told
import deployments.errors as served
from cluster.client.errors import ApiError, UnexpectedAnswer, error_of, kinds


def bases(kind: type, root: type) -> tuple[str, ...]:
    return tuple(each.__name__ for each in kind.__mro__[: kind.__mro__.index(root)])


def every(root: type[served.ServingError]) -> list[type[served.ServingError]]:
    return [each for kind in root.__subclasses__() for each in (kind, *every(kind))]


def test_there_is_one_class_for_each_code_of_the_service_below_the_same_ones() -> None:
    expected = {kind.code: bases(kind, served.ServingError) for kind in every(served.ServingError)}
    assert {kind.code: bases(kind, ApiError) for kind in kinds(ApiError)} == expected


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"── (\w+)", told.__doc__ or "")
    names = {kind.__name__ for kind in kinds(ApiError)}
    assert set(drawn) == {"ConnectionFailed", "UnexpectedAnswer", "ApiError"} | names


@pytest.mark.parametrize("kind", list(kinds(ApiError)), ids=lambda kind: kind.code)
def test_what_the_service_tells_is_what_is_raised(kind: type[ApiError]) -> None:
    origin = {each.code: each for each in every(served.ServingError)}[kind.code]
    error = origin("No.", parameter="n", details={"limit": "work_per_day"})
    found = error_of(error.envelope("req_1"), error.status, 1.5)
    assert type(found) is kind
    assert isinstance(found, ApiError)
    assert (str(found), found.code, found.status, found.parameter) == ("No.", kind.code, error.status, "n")
    assert (found.retry_after, found.request_id, found.details) == (1.5, "req_1", {"limit": "work_per_day"})


def test_a_code_of_a_later_version_is_an_error_of_the_api() -> None:
    found = error_of({"error": {"message": "No.", "code": "brand_new"}, "request_id": "req_1"}, 418)
    assert type(found) is ApiError
    assert (found.code, found.status, found.request_id) == ("brand_new", 418, "req_1")


@pytest.mark.parametrize("body", [None, "Bad Gateway", [], {}, {"error": "no"}, {"error": {"code": 5}}, {"detail": []}])
def test_what_is_no_error_of_the_api_is_unexpected(body: object) -> None:
    found = error_of(body, 502)
    assert isinstance(found, UnexpectedAnswer)
    assert "502" in str(found)
