"""Traces as lines of JSON."""

from __future__ import annotations

import pytest

from deployments.autoscaling.sample import Decision, Reason, Verdict
from deployments.autoscaling.trace import Trace, read_trace
from tests.deployments.autoscaling.scenarios import sample, spec

DECISION = Decision(5.0, {"a": Verdict(1, 2, "none", (Reason("load", 2, "tensor 0.91 > 0.75"),))})
TRACE = Trace({"a": spec()}, {"a": (sample(1.0), sample(5.0, load=None, waiting=None))}, (DECISION,))


def test_a_trace_is_read_as_it_was_written_in_whatever_order() -> None:
    lines = list(TRACE.lines())
    assert read_trace(lines) == TRACE
    assert read_trace(["", *reversed(lines)]) == TRACE


def test_the_form_of_a_line() -> None:
    assert list(TRACE.lines())[1:] == [
        '{"pool":"a","sample":{"at":1.0,"replicas":1,"target":1,"least":1,"most":8,"reporting":1,"load":0.0,'
        '"running":0,"waiting":0,"backlog":0.0,"rate":1000.0}}',
        '{"pool":"a","sample":{"at":5.0,"replicas":1,"target":1,"least":1,"most":8,"reporting":1,'
        '"running":0,"backlog":0.0,"rate":1000.0}}',
        '{"decision":{"at":5.0,"verdicts":{"a":{"before":1,"after":2,"bound":"none",'
        '"reasons":[{"signal":"load","wanted":2,"text":"tensor 0.91 > 0.75"}]}}}}',
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nothing", "line 2: Invalid JSON"),
        ("{}", "line 2: Value error, a line has a spec, a sample with its pool, or a decision"),
        ('{"pool": "a"}', "line 2: Value error"),
        ('{"sampel": {}}', "line 2: sampel: Extra inputs"),
        ('{"pool": "a", "sample": {"at": NaN, "replicas": 1, "target": 1, "least": 0, "most": 1}}', "sample.at"),
        ('{"pool": "a", "sample": {"at": 1, "replicas": 1.5, "target": 1, "least": 0, "most": 1}}', "sample.replicas"),
    ],
)
def test_what_is_no_line_is_refused_with_its_number(line: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^.*{fault}"):
        read_trace([next(TRACE.lines()), line])


def test_a_figure_that_is_not_finite_is_written_as_unknown() -> None:
    odd = Trace({"a": spec()}, {"a": (sample(1.0, load=float("nan")),)})
    assert read_trace(odd.lines()).samples["a"][0].load is None
