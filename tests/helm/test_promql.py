from __future__ import annotations

from tests.helm.promql import Matcher, Selector, aggregations, rated, selectors

BURN = """
(sum by (model) (rate(missed_total{verdict="missed", band=~"a|b"}[5m]))
  or 0 * max by (model, le) (rate(all_bucket[1h])))
> on () group_left () 600 * plain unless plain offset 10m
"""


def test_the_metrics_and_what_selects_among_their_series_are_found() -> None:
    assert selectors(BURN) == (
        Selector("missed_total", (Matcher("verdict", "=", "missed"), Matcher("band", "=~", "a|b"))),
        Selector("all_bucket", ()),
        Selector("plain", ()),
        Selector("plain", ()),
    )


def test_the_labels_that_aggregations_keep_are_found_with_what_they_aggregate() -> None:
    missed, everything = aggregations(BURN)
    assert missed.labels == {"model"}
    assert everything.labels == {"model", "le"}
    assert [each.metric for each in selectors(missed.argument)] == ["missed_total"]


def test_what_is_rated_is_found() -> None:
    assert rated(BURN) == {"missed_total", "all_bucket"}
