from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster.reference.page import page
from cluster.reference.schema import parts, paths
from deployments.config import ClusterConfig
from tests.docs.pages import codes_in, rows

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "cluster.yaml").read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    """`python -m cluster.reference > docs/configuration.md` writes it again."""
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == page()


def test_the_page_has_a_row_for_each_key() -> None:
    _, _, tables = page().partition("## The root\n")
    assert [row[0].strip("`") for row in rows(tables)] == [path.rpartition(".")[2] for path in paths(ClusterConfig)]
    assert {len(row) for row in rows(tables)} == {4}


CHOICES = [
    (key.name, words)
    for part in parts(ClusterConfig)
    for key in part.keys
    if len(words := set(re.findall(r"`(\w+)`", key.kind))) > 1
]


@pytest.mark.parametrize(("name", "choices"), CHOICES)
def test_a_comment_of_the_example_names_all_choices_or_none(name: str, choices: set[str]) -> None:
    comments = re.findall(rf"^ *(?:- )?#? *{name}: ([^#\n]*)# *(.*)$", EXAMPLE, re.MULTILINE)
    for value, comment in comments:
        named = choices & set(re.findall(r"\w+", f"{value} {comment}"))
        assert named in ({value.strip()} & choices, choices), comment


def test_the_keys_that_the_chart_writes_are_those_that_it_refuses() -> None:
    chart = (ROOT / "helm" / "dllm-cluster" / "templates" / "_config.tpl").read_text(encoding="utf-8")
    own = chart.partition("$own := dict")[2].partition("-}}")[0]
    refused = set(re.findall(r'^ +"([\w.]+)" "', own, re.MULTILINE))
    told = page().partition("## On Kubernetes\n")[2].partition("\n## ")[0]
    assert {key for row in rows(told) for key in codes_in(row[0])} == refused
    assert len(refused) > 5
