from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.scenario.scenario import TraceFormat
from loadtest.traces.reading import trace_rows
from loadtest.traces.row import TraceError, TraceRow

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:50,879,55
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:00.517949+00:00,2399,6
"""
BURST = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,ChatGPT,1087,0,1087,Conversation log
118,GPT-4,417,276,693,API log
"""
BURST_LATER = """Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,a,1.5,ChatGPT,472,18,490,Conversation log
"""


def read(tmp_path: Path, form: TraceFormat, text: str) -> list[TraceRow]:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    return trace_rows(path, form)


def test_azure_times_have_seven_digits_and_rows_need_not_be_in_order(tmp_path: Path) -> None:
    rows = read(tmp_path, "azure", AZURE)
    assert [row.at for row in rows] == pytest.approx([0.0, 3.31941, 4.314579], abs=1e-6)
    assert [(row.prompt_tokens, row.answer_tokens) for row in rows] == [(374, 44), (879, 55), (396, 109)]


def test_azure_times_of_2024_have_an_offset(tmp_path: Path) -> None:
    assert [row.at for row in read(tmp_path, "azure", AZURE_2024)] == pytest.approx([0.0, 0.508019], abs=1e-6)


def test_requests_that_failed_when_they_were_recorded_are_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "burstgpt", BURST) == [TraceRow(0.0, 472, 18), TraceRow(113.0, 417, 276)]
    assert read(tmp_path, "burstgpt", BURST_LATER) == [TraceRow(0.0, 472, 18)]


@pytest.mark.parametrize(
    ("form", "text", "complaint"),
    [
        ("azure", BURST, r"trace\.csv:1: no column TIMESTAMP, ContextTokens, GeneratedTokens"),
        ("azure", AZURE + "2023-11-16 18:16,1,1\n", r"trace\.csv:5: TIMESTAMP is '2023-11-16 18:16', not a time"),
        ("azure", AZURE + "2023-11-16 18:16:01,-4,1\n", r"trace\.csv:5: ContextTokens is '-4'"),
        ("azure", AZURE + "2023-11-16 18:16:01,4,0\n", r"trace\.csv:5: GeneratedTokens is '0'"),
        ("azure", AZURE + "2023-11-16 18:16:01,4\n", r"trace\.csv:5: 2 cells for 3 columns"),
        ("azure", AZURE.splitlines()[0] + "\n", "no requests"),
        ("burstgpt", BURST + "nan,ChatGPT,1,1,2,API log\n", r"trace\.csv:5: Timestamp is 'nan'"),
        ("burstgpt", BURST + "9,ChatGPT,1.5,1,2,API log\n", r"trace\.csv:5: Request tokens is '1\.5'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, form: TraceFormat, text: str, complaint: str) -> None:
    with pytest.raises(TraceError, match=complaint):
        read(tmp_path, form, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"absent\.csv"):
        trace_rows(tmp_path / "absent.csv", "azure")
