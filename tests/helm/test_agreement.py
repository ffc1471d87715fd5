"""The code, the tables, the dashboards and the rules name the same metrics and labels."""

from __future__ import annotations

import ast
import re

from deployments.errors import ServingError
from deployments.telemetry import names
from tests.helm import documents, promql
from tests.helm.documents import ROOT, labels_of, metric_of

EXPRESSIONS = documents.expressions()
RECORDED = {rule.name for rule in documents.records()}
NAMED = {id(value): name for name, value in vars(names).items()}


def codes_of_the_service() -> set[str]:
    """The errors with a status of 500 or more."""
    kinds = [ServingError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.code for kind in kinds[1:] if kind.status >= 500}


def test_the_tables_have_each_metric_once_as_the_code_has_it() -> None:
    told = [(row.name, row.kind, tuple(row.labels), row.meaning) for row in documents.rows()]
    assert sorted(told) == sorted((each.name, each.kind, each.labels, each.meaning) for each in names.ALL)


def test_the_tables_say_what_to_do() -> None:
    assert [row.name for row in documents.rows() if len(row.advice.split()) < 2] == []


def test_each_metric_is_recorded_somewhere_and_made_only_among_the_names() -> None:
    used, made = set[str](), set[str]()
    for path in (ROOT / "deployments").rglob("*.py"):
        if path.name == "names.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name | ast.Attribute):
                used.add(node.id if isinstance(node, ast.Name) else node.attr)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Metric":
                made.add(str(path))
    assert {NAMED[id(metric)] for metric in names.ALL} - used == set()
    assert made == set()


def test_names_have_their_units() -> None:
    for metric in names.ALL:
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert not re.search(r"_(ms|milliseconds|percent|minutes)$", metric.name)


def test_what_is_read_exists() -> None:
    for expression in EXPRESSIONS:
        for selector in promql.selectors(expression):
            assert metric_of(selector.metric) or selector.metric in RECORDED, expression
            assert {matcher.label for matcher in selector.matchers} <= labels_of(selector.metric), expression


def test_aggregations_keep_labels_that_exist() -> None:
    for expression in EXPRESSIONS:
        for aggregation in promql.aggregations(expression):
            for selector in promql.selectors(aggregation.argument):
                assert aggregation.labels <= labels_of(selector.metric), expression


def test_rates_are_taken_of_what_only_grows() -> None:
    for expression in EXPRESSIONS:
        for name in promql.rated(expression):
            metric = metric_of(name)
            assert metric is not None, expression
            assert metric.kind != "gauge", expression


def test_values_that_are_selected_are_in_the_tables() -> None:
    rows = {row.name: row for row in documents.rows()}
    for expression in EXPRESSIONS:
        for selector in promql.selectors(expression):
            metric = metric_of(selector.metric)
            for matcher in selector.matchers:
                if metric is not None and not matcher.value.startswith("$"):
                    values = rows[metric.name].labels[matcher.label]
                    known = values | codes_of_the_service() if "an error's code" in values else values
                    assert set(matcher.value.split("|")) <= known, expression


def test_each_metric_is_shown_or_watched() -> None:
    read = {selector.metric for expression in EXPRESSIONS for selector in promql.selectors(expression)}
    assert set(names.ALL) - {metric_of(name) for name in read} == set()


def test_a_recorded_series_is_read_and_has_the_labels_in_its_name() -> None:
    read = {selector.metric for expression in EXPRESSIONS for selector in promql.selectors(expression)}
    assert read >= RECORDED
    for rule in documents.records():
        assert {each.labels for each in promql.aggregations(rule.expression)} <= {labels_of(rule.name)}


def test_the_failures_of_the_service_are_those_with_its_status() -> None:
    (rule,) = [rule for rule in documents.records() if rule.name.startswith("model:dllm_requests_failed:")]
    outcomes = [
        matcher.value
        for selector in promql.selectors(rule.expression)
        for matcher in selector.matchers
        if matcher.label == "outcome"
    ]
    assert [set(each.split("|")) for each in outcomes] == [codes_of_the_service()]
