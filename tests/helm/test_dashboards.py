from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cluster.monitoring.__main__ import main
from tests.helm import documents, promql
from tests.helm.documents import DASHBOARDS, labels_of, panels

WIDTH = 24
UNITS = {"s", "short", "none", "percentunit", "reqps", "bool_yes_no"}
LEGEND = re.compile(r"\{\{(\w+)\}\}")
BUILT_IN = {"__rate_interval"}


def model(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def test_the_files_are_what_the_source_makes(tmp_path: Path) -> None:
    main(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in DASHBOARDS}


def test_the_five_dashboards_are_there_and_are_told_apart() -> None:
    found = [path.stem for path in DASHBOARDS]
    assert found == ["autoscaling", "denoising", "overview", "redis-and-limits", "tenants"]
    assert len({model(path)["uid"] for path in DASHBOARDS}) == len({model(path)["title"] for path in DASHBOARDS}) == 5


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_says_what_it_shows_and_what_to_do(path: Path) -> None:
    titles = [panel["title"] for panel in panels(path)]
    assert len(set(titles)) == len(titles)
    for panel in panels(path):
        assert len(panel["description"].split()) >= 5, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_fill_their_rows_and_do_not_overlap(path: Path) -> None:
    taken = set[tuple[int, int]]()
    for panel in panels(path):
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert {x for x, _ in taken} == set(range(WIDTH))
    assert len(taken) == WIDTH * len({y for _, y in taken})
    ids = [panel["id"] for panel in panels(path)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_source_of_data_is_chosen_and_every_variable_is_used_and_defined(path: Path) -> None:
    dashboard = model(path)
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    used = {
        name for panel in panels(path) for target in panel["targets"] for name in re.findall(r"\$(\w+)", target["expr"])
    }
    assert used - BUILT_IN == set(variables) - {"datasource"}
    for panel in panels(path):
        assert {panel["datasource"]["uid"], *(each["datasource"]["uid"] for each in panel["targets"])} == {
            "${datasource}"
        }
    for name in set(variables) - {"datasource"}:
        (metric, label) = re.findall(r"label_values\((\w+), (\w+)\)", variables[name]["definition"])[0]
        assert label == name
        assert label in labels_of(metric)


def test_a_legend_names_the_labels_that_tell_series_apart() -> None:
    for query in documents.queries():
        kept = {label for each in promql.aggregations(query.expression) for label in each.labels}
        read = promql.selectors(query.expression)
        recorded = {label for each in read if ":" in each.metric for label in labels_of(each.metric)}
        told = set(LEGEND.findall(query.legend))
        assert told <= kept | recorded, query
        assert kept - told <= {"le", "model"}, query
