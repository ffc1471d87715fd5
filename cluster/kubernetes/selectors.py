"""Which nodes of Ray a label selector of Ray picks: ``v``, ``!v``, ``in(a, b)`` and ``!in(a, b)``."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_LABEL = "ray.io/accelerator-type"

CONDITION = re.compile(r"(!?)(?:in\(([^()]+)\)|([^!()]+))")


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a node with ``labels`` has what every condition of the selector asks for; a label that it lacks has no
    value. Raises ``ValueError``.
    """
    return all(_holds(condition, labels.get(label)) for label, condition in selector.items())


def _holds(condition: str, value: str | None) -> bool:
    match = CONDITION.fullmatch(condition)
    if match is None:
        raise ValueError(f"{condition}: not a condition of Ray's label selectors")
    negated, several, single = match.groups()
    wanted = {each.strip() for each in several.split(",")} if several is not None else {single}
    return (value in wanted) != bool(negated)
