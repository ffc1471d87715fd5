from __future__ import annotations

import json

from cluster.monitoring.grafana import Dashboard, Panel, Query, Variable

QUERY = Query("sum (up)", "{{job}}", exemplars=True)


def panel(title: str, kind: str = "timeseries") -> Panel:
    return Panel(title, "What to do.", "s", (QUERY, QUERY), kind=kind, most=1)


def test_panels_share_the_width_of_their_row_and_stats_are_low() -> None:
    rows = ((panel("a", "stat"), panel("b", "stat")), (panel("c"), panel("d"), panel("e")))
    made = json.loads(Dashboard("slug", "title", "For tests.", (), rows).as_json())
    assert [tuple(each["gridPos"].values()) for each in made["panels"]] == [
        (0, 0, 12, 4),
        (12, 0, 12, 4),
        (0, 4, 8, 8),
        (8, 4, 8, 8),
        (16, 4, 8, 8),
    ]
    assert [each["id"] for each in made["panels"]] == [1, 2, 3, 4, 5]


def test_a_panel_has_its_queries_its_unit_and_its_advice() -> None:
    (made,) = json.loads(Dashboard("slug", "title", "For tests.", (), ((panel("a"),),)).as_json())["panels"]
    assert (made["title"], made["description"]) == ("a", "What to do.")
    assert made["fieldConfig"]["defaults"]["unit"] == "s"
    assert [(each["refId"], each["expr"], each["exemplar"]) for each in made["targets"]] == [
        ("A", "sum (up)", True),
        ("B", "sum (up)", True),
    ]


def test_a_variable_offers_the_values_of_its_label_and_all_of_them() -> None:
    made = json.loads(Dashboard("slug", "title", "For tests.", (Variable("model", "up"),), ()).as_json())
    source, variable = made["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    assert (variable["definition"], variable["allValue"]) == ("label_values(up, model)", ".*")
