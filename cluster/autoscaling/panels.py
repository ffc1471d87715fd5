"""What is shown of courses, for every kind of chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.autoscaling.course import Course


@dataclass(frozen=True, slots=True)
class Line:
    """``values`` at ``times``, in seconds from the start."""

    label: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over the same time. ``is_stepped`` when a value holds until the next."""

    title: str
    lines: tuple[Line, ...]
    is_stepped: bool = False


def panels(courses: Sequence[Course]) -> tuple[Panel, ...]:
    """Replicas, load and predicted wait. Courses over one recorded trace share the latter two."""
    is_recorded = len(courses) > 1 and all(course.trace.samples is courses[0].trace.samples for course in courses)
    measured = courses[:1] if is_recorded else courses
    start = min(sample.at for course in courses for found in course.trace.samples.values() for sample in found)
    return (
        Panel("replicas wanted", tuple(line for course in courses for line in _sizes(course, start)), is_stepped=True),
        Panel("tensor load", tuple(line for course in measured for line in _figures(course, start, "load"))),
        Panel("predicted wait, s", tuple(line for course in measured for line in _figures(course, start, "wait"))),
    )


def _sizes(course: Course, start: float) -> list[Line]:
    decided = {
        pool: [(each.at - start, each.verdicts[pool].after) for each in course.trace.decisions if pool in each.verdicts]
        for pool in course.trace.specs
    }
    return [_line(course, pool, points) for pool, points in decided.items()]


def _figures(course: Course, start: float, name: str) -> list[Line]:
    known = {
        pool: [(each.at - start, getattr(each, name)) for each in found if getattr(each, name) is not None]
        for pool, found in course.trace.samples.items()
    }
    return [_line(course, pool, points) for pool, points in known.items()]


def _line(course: Course, pool: str, points: Sequence[tuple[float, float]]) -> Line:
    label = course.policy if len(course.trace.specs) == 1 else f"{course.policy} {pool}"
    return Line(label, tuple(at for at, _ in points), tuple(float(value) for _, value in points))
