"""Groups that wait for nodes in vain."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.kubernetes.pods import Pod, pod_of
from cluster.kubernetes.shortage import Shortage
from tests.cluster.kubernetes import things

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()


def waiting(group: str = "h100") -> Pod:
    return pod_of(things.pod("p", group, None, waits_since="2026-11-22T12:00:00Z"))


def test_a_group_is_short_when_a_pod_has_waited_for_long_enough() -> None:
    shortage = Shortage(300.0, 900.0, {})
    assert shortage.after([waiting()], NOON + 299).groups == set()
    assert shortage.after([waiting()], NOON + 300).groups == {"h100"}


def test_it_stays_short_for_a_while_and_is_tried_again_then() -> None:
    short = Shortage(300.0, 900.0, {}).after([waiting()], NOON + 300)
    assert short.after([], NOON + 1199).groups == {"h100"}
    assert short.after([], NOON + 1200).groups == set()
    assert short.after([waiting()], NOON + 1100).after([], NOON + 1999).groups == {"h100"}


def test_pods_that_run_or_leave_tell_nothing() -> None:
    placed = pod_of(things.pod("q", "l40s"))
    leaving = things.pod("r", "h100", None)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T12:01:00Z"
    assert Shortage(300.0, 900.0, {}).after([placed, pod_of(leaving)], NOON + 9999).groups == set()
