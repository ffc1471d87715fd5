"""The Dockerfile as its stages and steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ASSIGNMENT = re.compile(r'([A-Za-z_][A-Za-z0-9_.]*)=("(?:[^"\\]|\\.)*"|\S*)')


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction and what follows it, on one line."""

    instruction: str
    rest: str

    @property
    def assignments(self) -> dict[str, str]:
        """What an ENV, an ARG or a LABEL sets."""
        return {name: value.strip('"') for name, value in _ASSIGNMENT.findall(self.rest)}


@dataclass(frozen=True, slots=True)
class Stage:
    """What begins with a FROM. ``name`` is empty for the last one."""

    base: str
    name: str
    steps: tuple[Step, ...]

    def every(self, instruction: str) -> list[Step]:
        """Its steps of one kind."""
        return [step for step in self.steps if step.instruction == instruction]


def read(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """The arguments in front of the first stage, and the stages."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r" *\\\n *", " ", "\n".join(lines))
    steps = [Step(*line.split(" ", 1)) for line in joined.splitlines() if line]
    starts = [index for index, step in enumerate(steps) if step.instruction == "FROM"]
    arguments = {name: value for step in steps[: starts[0]] for name, value in step.assignments.items()}
    stages = []
    for start, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        base, _, name = steps[start].rest.partition(" AS ")
        stages.append(Stage(base, name, tuple(steps[start + 1 : end])))
    return arguments, stages
