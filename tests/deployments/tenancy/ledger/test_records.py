from __future__ import annotations

import pytest

from deployments.tenancy.ledger.records import entry_of, work_units
from tests.deployments.tenancy.ledger.entries import TERMS, ended, entry


def test_a_completed_request_pays_what_its_usage_says() -> None:
    assert entry_of(ended()) == entry()


def test_a_cancelled_request_pays_what_it_had_used() -> None:
    assert entry_of(ended(status="cancelled")) == entry(status="cancelled")


def test_a_request_that_was_cancelled_before_it_ran_pays_nothing() -> None:
    found = entry_of(ended(status="cancelled", usage=None))
    assert (found.status, found.requests, found.prompt_tokens, found.work) == ("cancelled", 1, 0, 0)


def test_a_failed_request_is_entered_and_pays_nothing() -> None:
    found = entry_of(ended(status="failed", error_code="replicas_lost"))
    assert (found.status, found.error_code, found.requests) == ("failed", "replicas_lost", 1)
    assert (found.prompt_tokens, found.completion_tokens, found.position_forwards, found.work) == (0, 0, 0, 0)


def test_of_the_answers_to_one_request_only_the_first_has_the_prompt() -> None:
    later = ended("cmpl-1.1", parameters={"tenancy": TERMS | {"first": False}})
    assert entry_of(later) == entry("cmpl-1.1", requests=0, prompt_tokens=0, cached_tokens=0)


def test_who_asked_and_when_is_in_the_entry() -> None:
    found = entry_of(ended(parameters={"tenancy": TERMS | {"key": "k2", "band": "flex"}}, created_at=1.5, updated_at=2))
    assert (found.key, found.band, found.created_at, found.ended_at) == ("k2", "flex", 1.5, 2)


def test_a_request_that_runs_has_no_entry() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        entry_of(ended(status="running"))


@pytest.mark.parametrize(
    ("position_forwards", "weight", "units"),
    [(0, 1.0, 0), (400, 1.0, 400), (30, 0.1, 3), (31, 0.1, 4), (3, 0.7, 3), (1, 1e-9, 1), (10**15 + 1, 1.1, None)],
)
def test_work_is_rounded_up_from_the_decimal_product(position_forwards: int, weight: float, units: int | None) -> None:
    if units is None:
        units = -(-position_forwards * 11 // 10)
    assert work_units(position_forwards, weight) == units
