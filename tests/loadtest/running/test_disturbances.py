from __future__ import annotations

import sys

from loadtest.running.disturbances import disturb
from loadtest.scenario.scenario import Disturbance


def test_commands_run_at_their_moments_and_tell_how_they_ended() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    program = [sys.executable, "-c"]
    disturbances = [
        Disturbance(after_seconds=9.0, command=[*program, "raise SystemExit('no such node')"]),
        Disturbance(after_seconds=4.0, command=[*program, "print('drained')"]),
        Disturbance(after_seconds=12.0, command=["no-such-program"]),
    ]
    done = disturb(disturbances, lambda: now[0], sleep)
    assert [(each.at, each.status) for each in done] == [(4.0, 0), (9.0, 1), (12.0, 127)]
    assert [each.output.strip() for each in done[:2]] == ["drained", "no such node"]
