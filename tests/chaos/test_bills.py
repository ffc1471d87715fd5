from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.bills import SUMMED, costs, mistakes

TOLD = {
    "prompt_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens": 64,
    "diffusion": {"canvases": 2, "denoising_steps": 12, "forward_passes": 15, "position_forwards": 400},
}


def entry(id: str, **changes: Any) -> dict[str, Any]:
    return {"id": id, "status": "completed", "requests": 1, **costs(TOLD), **changes}


def summed(*entries: dict[str, Any]) -> dict[str, Any]:
    total = {name: sum(each[name] for each in entries) for name in SUMMED}
    return {"data": [total], "total": total}


FREE = {**dict.fromkeys(costs(TOLD), 0), "status": "failed"}
RIGHT = (entry("a"), entry("b"), entry("c", **FREE))
KNOWN = {"a": TOLD, "b": TOLD, "c": None, "never entered": None}


def test_a_ledger_that_says_what_clients_were_told_has_no_mistakes() -> None:
    assert mistakes(KNOWN, RIGHT, summed(*RIGHT)) == ()


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ((RIGHT[0], RIGHT[2]), "b is not entered"),
        ((*RIGHT, RIGHT[1]), "b is entered 2 times"),
        ((RIGHT[0], entry("b", position_forwards=401), RIGHT[2]), "b is completed and billed"),
        ((RIGHT[0], entry("b", canvases=1), RIGHT[2]), "b is completed and billed"),
        ((*RIGHT[:2], entry("c", status="failed")), "c is failed and billed"),
        ((*RIGHT, entry("unknown")), "unknown is completed and billed"),
    ],
)
def test_each_difference_is_a_mistake(entries: tuple[dict[str, Any], ...], reason: str) -> None:
    assert any(found.startswith(reason) for found in mistakes(KNOWN, entries, summed(*entries)))


def test_sums_that_are_not_those_of_the_entries_are_a_mistake() -> None:
    wrong = summed(*RIGHT[:1])
    right = summed(*RIGHT)
    for usage in (wrong, right | {"data": []}, right | {"total": wrong["total"]}):
        assert mistakes(KNOWN, RIGHT, usage)[0].startswith("the entries come to")
