from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cluster.reference.schema import Key, Part, parts, paths
from deployments.config import ClusterConfig
from deployments.section import Section


class Leaf(Section):
    """What grows.

    In spring.
    """

    size: int = Field(default=3, gt=0, le=9)
    """How
    large.
    """

    name: Literal["oak", "elm"] | None = None
    """``oak`` or ``elm``."""


class Tree(Section):
    """What it grows on."""

    name: Annotated[str, Field(pattern="^a|b$", min_length=1)]
    """Its name."""

    low: Leaf = Leaf()
    """Below."""

    high: Leaf = Leaf(size=7)
    """Above."""

    others: list[Leaf] = Field(default=[Leaf(name="oak")], min_length=1)
    """The rest."""

    absent: Leaf | None = None
    """Perhaps."""


def leaf(path: str, size: str) -> Part:
    return Part(
        path,
        "What grows.\n\nIn spring.",
        (
            Key("size", "integer above 0 and at most 9", size, "How large.", None),
            Key("name", "`oak`, `elm`, or null", "`null`", "`oak` or `elm`.", None),
        ),
    )


def test_a_section_stands_behind_the_one_that_has_it_with_the_defaults_of_its_place() -> None:
    tree, *leaves = parts(Tree)
    assert tree == Part(
        "",
        "What it grows on.",
        (
            Key("name", "string like `^a|b$`", "required", "Its name.", None),
            Key("low", "section", "", "Below.", "low"),
            Key("high", "section", "", "Above.", "high"),
            Key("others", "one or several of sections", "`oak`", "The rest.", "others[]"),
            Key("absent", "section, or null", "`null`", "Perhaps.", "absent"),
        ),
    )
    assert leaves == [leaf("low", "`3`"), leaf("high", "`7`"), leaf("others[]", "`3`"), leaf("absent", "`3`")]


def test_paths_are_those_of_every_key() -> None:
    assert list(paths(Tree)) == [
        *("name", "low", "high", "others", "absent"),
        *(f"{section}.{key}" for section in ("low", "high", "others[]", "absent") for key in ("size", "name")),
    ]


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    told = {f"{part.path}.{key.name}": key.meaning for part in parts(ClusterConfig) for key in part.keys}
    assert {path for path, meaning in told.items() if not meaning.endswith(".")} == set()
    assert len(told) > 100
