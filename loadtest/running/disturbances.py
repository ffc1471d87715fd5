"""What happens to the cluster while it is under load."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.exchanges.account import Clock
from loadtest.scenario.scenario import Disturbance

SHOWN_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Disturbed:
    """A command that ran ``at`` so many seconds of load, its exit status and the end of what it wrote."""

    at: float
    command: Sequence[str]
    status: int
    output: str


def disturb(disturbances: Sequence[Disturbance], clock: Clock, sleep: Callable[[float], object]) -> list[Disturbed]:
    """Run each command at its moment. One that cannot be started has the status 127, as in a shell."""
    done = []
    for each in sorted(disturbances, key=lambda each: each.after_seconds):
        sleep(max(0.0, each.after_seconds - clock()))
        at = clock()
        try:
            ran = subprocess.run(each.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            status, output = ran.returncode, ran.stdout
        except OSError as error:
            status, output = 127, str(error)
        done.append(Disturbed(at, each.command, status, output[-SHOWN_CHARACTERS:]))
    return done
