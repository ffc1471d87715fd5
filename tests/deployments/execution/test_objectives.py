from __future__ import annotations

from deployments.execution.objectives import Objectives


def test_each_queue_has_its_own_counts() -> None:
    objectives = Objectives()
    for queue, met in (("tiny:every", True), ("tiny:every", True), ("tiny:every", False), ("huge:every", False)):
        objectives.count(queue, met=met)
    assert (objectives.met("tiny:every"), objectives.missed("tiny:every")) == (2, 1)
    assert (objectives.met("huge:every"), objectives.missed("huge:every")) == (0, 1)


def test_a_queue_of_which_nothing_is_known_has_none() -> None:
    objectives = Objectives()
    assert (objectives.met("tiny:every"), objectives.missed("tiny:every")) == (0, 0)
