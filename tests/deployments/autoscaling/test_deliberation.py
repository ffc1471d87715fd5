"""Decisions are made one after the other, and nobody waits for one that hangs."""

from __future__ import annotations

import threading

from deployments.autoscaling.deliberation import DecidingThread, at_once
from deployments.autoscaling.sample import Decision


def test_a_decision_at_once() -> None:
    assert at_once(lambda: Decision(1.0, {})).result(timeout=0) == Decision(1.0, {})


def test_who_asks_goes_on_while_a_decision_hangs() -> None:
    begin, free = DecidingThread(), threading.Event()

    def slow() -> Decision:
        free.wait()
        return Decision(1.0, {})

    first, second = begin(slow), begin(lambda: None)
    assert not first.done()
    assert not second.done()
    free.set()
    assert (first.result(timeout=60), second.result(timeout=60)) == (Decision(1.0, {}), None)
