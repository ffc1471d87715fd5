"""Whether a load test has passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan

from loadtest.figures.results import Results
from loadtest.figures.summary import Summary
from loadtest.scenario.scenario import Gate

MISSING = "requests without a result"
DISTURBED = "disturbances that failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate asks for, what there was, and whether that is enough."""

    gate: str
    asked: str
    seen: float
    passed: bool


def verdicts(gates: Sequence[Gate], results: Results, failed_disturbances: int) -> list[Verdict]:
    """One for each gate, and two that every test has: each request has a result, and each disturbance came about."""
    always = ((MISSING, results.missing), (DISTURBED, failed_disturbances))
    return [
        *(Verdict(name, "at most 0", count, count == 0) for name, count in always),
        *(_verdict(gate, results) for gate in gates),
    ]


def _verdict(gate: Gate, results: Results) -> Verdict:
    seen, subject = _seen(gate, results), gate.tenant or gate.band or gate.kind
    name = gate.figure if subject is None else f"{gate.figure} of {subject}"
    # NaN is neither, so what was not measured does not pass.
    passed = (gate.least is None or seen >= gate.least) and (gate.most is None or seen <= gate.most)
    return Verdict(name, " and ".join(_bounds(gate)), seen, passed)


def _bounds(gate: Gate) -> Iterator[str]:
    if gate.least is not None:
        yield f"at least {gate.least:g}"
    if gate.most is not None:
        yield f"at most {gate.most:g}"


def _seen(gate: Gate, results: Results) -> float:
    if gate.figure == "jain":
        return results.fairness.jain
    if gate.figure == "max_lag":
        return nan if results.fairness.max_lag is None else results.fairness.max_lag
    summary = _summary(gate, results)
    return nan if summary is None else float(getattr(summary, gate.figure))


def _summary(gate: Gate, results: Results) -> Summary | None:
    groups: tuple[tuple[str | None, Mapping[str, Summary]], ...] = (
        (gate.tenant, results.tenants),
        (gate.band, results.bands),
        (gate.kind, results.kinds),
    )
    return next((group.get(name) for name, group in groups if name is not None), results.whole)
