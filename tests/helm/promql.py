"""What a PromQL expression reads: enough of the language to hold it against the metrics that there are.

An aggregation is written ``sum by (label) (...)``, with the labels in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

WORDS = {"and", "or", "unless", "offset", "bool", "by", "on", "ignoring", "group_left", "group_right", "without"}
_STRING = r'"(?:[^"\\]|\\.)*"'
_LABELS = re.compile(r"\b(?:by|on|ignoring|group_left|group_right|without)\s*\(([^)]*)\)")
_AGGREGATION = re.compile(r"\b(?:sum|max|min|avg|count)\s+by\s*\(([^)]*)\)\s*\(")
_MATCHER = re.compile(rf"(\w+)\s*(=~|!~|!=|=)\s*({_STRING})")
_SELECTOR = re.compile(rf"([a-zA-Z_:][\w:]*)\s*(\{{(?:[^}}\"]|{_STRING})*\}})?(\s*\()?")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_RATE = re.compile(r"\b(?:rate|increase)\s*\(\s*([a-zA-Z_:][\w:]*)")


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label, how it is compared, and with what."""

    label: str
    comparison: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and which of its series."""

    metric: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The labels that are left, and what is aggregated."""

    labels: frozenset[str]
    argument: str


def selectors(expression: str) -> tuple[Selector, ...]:
    """Every metric that is read."""
    plain = _RANGE.sub(" ", _LABELS.sub(" ", expression))
    return tuple(_selectors(plain))


def aggregations(expression: str) -> tuple[Aggregation, ...]:
    """Every aggregation by labels, those within others too."""
    found = []
    for match in _AGGREGATION.finditer(expression):
        labels = frozenset(label.strip() for label in match[1].split(","))
        found.append(Aggregation(labels, _enclosed(expression, match.end())))
    return tuple(found)


def rated(expression: str) -> frozenset[str]:
    """The metrics of which a rate or an increase is taken."""
    return frozenset(_RATE.findall(expression))


def _selectors(plain: str) -> Iterator[Selector]:
    for name, braces, call in _SELECTOR.findall(plain):
        if not call and name not in WORDS:
            matchers = tuple(Matcher(label, how, value[1:-1]) for label, how, value in _MATCHER.findall(braces))
            yield Selector(name, matchers)


def _enclosed(text: str, start: int) -> str:
    """From ``start`` to the parenthesis that closes the one in front of it."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    raise AssertionError(f"not closed: {text}")
