from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals.schedule import digest, part, schedule
from loadtest.traces.row import TraceError
from tests.loadtest.cases import scenario

ARRIVALS = schedule(scenario(), Path())


@given(st.integers(1, 9))
def test_the_parts_of_all_processes_are_everything_once(count: int) -> None:
    parts = [part(ARRIVALS, index, count) for index in range(count)]
    assert sorted((each for one in parts for each in one), key=lambda each: each.number) == ARRIVALS


def test_another_load_has_another_digest() -> None:
    assert digest(ARRIVALS) == digest(schedule(scenario(), Path()))
    assert digest(ARRIVALS) != digest(schedule(scenario(seed=1), Path()))


def test_a_trace_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    traced = scenario(trace={"file": "trace.csv", "format": "azure"})
    with pytest.raises(TraceError, match=r"trace\.csv"):
        schedule(traced, tmp_path)
    (tmp_path / "trace.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n")
    [only] = schedule(traced, tmp_path)
    assert (only.at, only.prompt_tokens, only.answer_tokens) == (0.0, 200, 44)
