"""What was decided and from what, as lines of JSON: the form in which it is kept, served, stored and replayed.

A line is ``{"spec": ...}`` of a pool, ``{"pool": its name, "sample": ...}``, or ``{"decision": ...}``. What is not
known of a sample is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import ConfigDict, ValidationError, model_validator

from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec
from deployments.section import Section


class _Line(Section):
    model_config = ConfigDict(allow_inf_nan=False)

    spec: PoolSpec | None = None
    pool: str | None = None
    sample: PoolSample | None = None
    decision: Decision | None = None

    @model_validator(mode="after")
    def _is_of_one_thing(self) -> Self:
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if given not in ({"spec"}, {"pool", "sample"}, {"decision"}):
            raise ValueError("a line has a spec, a sample with its pool, or a decision")
        return self


@dataclass(frozen=True, slots=True)
class Trace:
    """The pools of an application by name, their samples and all decisions, each the oldest first."""

    specs: Mapping[str, PoolSpec] = field(default_factory=dict)
    samples: Mapping[str, tuple[PoolSample, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()

    @property
    def history(self) -> History:
        """What decisions are made from."""
        return History(self.samples, self.decisions)

    def lines(self) -> Iterator[str]:
        """The trace as :func:`read_trace` takes it: the pools, then samples and decisions in the order of time."""
        yield from map(spec_line, self.specs.values())
        timed = [(each.at, 0, sample_line(pool, each)) for pool, all_of in self.samples.items() for each in all_of]
        timed += [(each.at, 1, decision_line(each)) for each in self.decisions]
        yield from (line for _, _, line in sorted(timed, key=lambda entry: entry[:2]))


def spec_line(spec: PoolSpec) -> str:
    """A pool as one line, without a line feed."""
    return _Line(spec=spec).model_dump_json(exclude_none=True)


def sample_line(pool: str, sample: PoolSample) -> str:
    """A sample of the pool of that name as one line, without a line feed."""
    return _Line(pool=pool, sample=sample).model_dump_json(exclude_none=True)


def decision_line(decision: Decision) -> str:
    """A decision as one line, without a line feed."""
    return _Line(decision=decision).model_dump_json(exclude_none=True)


def read_trace(lines: Iterable[str]) -> Trace:
    """The trace in ``lines``; of two specs of one pool the last one counts, and blank lines do not.

    Raises :class:`ValueError` with the number of the first line that is none.
    """
    specs: dict[str, PoolSpec] = {}
    samples: dict[str, list[PoolSample]] = {}
    decisions: list[Decision] = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        line = _read(number, text)
        if line.spec:
            specs[line.spec.name] = line.spec
        if line.pool is not None and line.sample:
            samples.setdefault(line.pool, []).append(line.sample)
        if line.decision:
            decisions.append(line.decision)
    ordered = {pool: tuple(sorted(found, key=_moment)) for pool, found in samples.items()}
    return Trace(specs, ordered, tuple(sorted(decisions, key=_moment)))


def _moment(timed: PoolSample | Decision) -> float:
    return timed.at


def _read(number: int, text: str) -> _Line:
    try:
        return _Line.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise ValueError(f"line {number}: {path + ': ' if path else ''}{first['msg']}") from None
