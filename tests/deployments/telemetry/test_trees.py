from __future__ import annotations

import pytest

from tests.deployments.telemetry.trees import BrokenTree, Told, outline

ROOT = Told("request", "t", "1", parent="c")
QUEUE = Told("queue", "t", "2", parent="1")
GENERATE = Told("generate", "t", "3", parent="1")
CANVAS = Told("canvas", "t", "4", parent="3")


def test_the_outline_has_every_span_below_its_parent() -> None:
    assert outline([CANVAS, QUEUE, ROOT, GENERATE], client="c") == "request\n  generate\n    canvas\n  queue"


@pytest.mark.parametrize(
    ("spans", "trouble"),
    [
        ([ROOT, QUEUE, CANVAS], r"orphans: \['canvas'\]"),
        ([QUEUE, CANVAS, GENERATE], "roots: "),
        ([ROOT, QUEUE, Told("other", "t", "5", parent="c")], "roots: "),
        ([ROOT, QUEUE, Told("other", "u", "5", parent="1")], "2 traces"),
        ([ROOT, QUEUE, QUEUE], "twice"),
        ([], "0 traces"),
    ],
)
def test_what_is_no_tree_is_found(spans: list[Told], trouble: str) -> None:
    with pytest.raises(BrokenTree, match=trouble):
        outline(spans, client="c")
