from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

import pytest

from loadtest.arrivals.draw import replayed, synthetic
from loadtest.traces.row import TraceRow
from tests.loadtest.cases import scenario

LONG = {"seconds": 2000.0, "arrivals": {"peak_per_second": 4.0}}
TWO: list[dict[str, Any]] = [
    {"name": "acme", "share": 3.0, "bands": {"default": 1, "flex": 1}, "kinds": {"unary": 1, "infill": 3}},
    {"name": "umbrella"},
]


def test_the_same_seed_gives_the_same_requests_and_another_one_does_not() -> None:
    assert synthetic(scenario(**LONG)) == synthetic(scenario(**LONG))
    assert synthetic(scenario(**LONG)) != synthetic(scenario(**LONG, seed=1))


def test_requests_are_numbered_in_the_order_of_their_moments() -> None:
    arrivals = synthetic(scenario(**LONG, tenants=TWO))
    assert [each.number for each in arrivals] == list(range(len(arrivals)))
    assert [each.at for each in arrivals] == sorted(each.at for each in arrivals)
    assert arrivals[-1].at < 2010


def test_each_tenant_has_its_share_its_bands_and_its_kinds() -> None:
    arrivals = synthetic(scenario(**LONG, tenants=TWO))
    tenants = Counter(each.tenant for each in arrivals)
    assert tenants["acme"] / tenants["umbrella"] == pytest.approx(3, rel=0.1)
    ours = [each for each in arrivals if each.tenant == "acme"]
    assert sum(each.kind == "infill" for each in ours) / len(ours) == pytest.approx(0.75, rel=0.05)
    assert sum(each.band == "flex" for each in ours) / len(ours) == pytest.approx(0.5, rel=0.05)


def test_a_tenant_is_not_changed_by_what_another_one_does() -> None:
    def of_umbrella(loud: dict[str, Any]) -> list[tuple[float, int]]:
        tenants = [TWO[0] | loud, TWO[1]]
        return [(e.at, e.seed) for e in synthetic(scenario(**LONG, tenants=tenants)) if e.tenant == "umbrella"]

    assert of_umbrella({}) == of_umbrella({"shape": "surge", "kinds": {"job": 1}})


def test_lengths_are_log_normal_around_the_median_and_cut() -> None:
    lengths = {"median": 50, "sigma": 0.8, "most": 120}
    drawn = [each.prompt_tokens for each in synthetic(scenario(**LONG, prompt=lengths))]
    assert median(drawn) == pytest.approx(50, rel=0.05)
    assert max(drawn) == 120
    assert min(drawn) >= 1


def test_a_trace_comes_at_its_moments_by_its_speed_with_lengths_cut() -> None:
    rows = [TraceRow(0.0, 5, 7), TraceRow(30.0, 4000, 900), TraceRow(150.0, 1, 1)]
    trace = {"file": "a.csv", "format": "azure", "speed": 2.0}
    arrivals = replayed(scenario(trace=trace, prompt={"median": 8, "most": 64}, answer={"median": 8, "most": 32}), rows)
    assert [(each.at, each.prompt_tokens, each.answer_tokens) for each in arrivals] == [(0.0, 5, 7), (15.0, 64, 32)]
