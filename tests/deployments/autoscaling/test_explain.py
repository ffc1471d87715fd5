from __future__ import annotations

from deployments.autoscaling.explain import CHANGES, explain
from deployments.autoscaling.trace import Trace
from tests.deployments.autoscaling.seen import NOW, decision, sample, spec


def test_the_latest_changes_are_told_with_their_reasons() -> None:
    one, other = spec(), spec("other")
    decisions = [decision(NOW + number, 1 + number % 2, 1 + (number + 1) // 2 % 2) for number in range(100)]
    decisions.append(decision(NOW + 100, 2, 2, bound="stale"))
    trace = Trace({one.name: one, other.name: other}, {one.name: (sample(NOW, 2, 2, load=0.5),)}, tuple(decisions))
    told, silent = explain(trace, NOW + 103)
    assert told["last"]["text"] == f"2 -> 2: tensor 0.91 > 0.75 at {NOW + 100:.0f}"
    assert (told["last"]["bound"], told["state"]["age_seconds"], told["policy"]) == ("stale", 103.0, "tensor_core")
    assert told["state"]["signals"] == {"load": 0.5, "wait_seconds": None, "burn": None, "refresh_share": None}
    times = [change["at"] for change in told["changes"]]
    assert len(times) == CHANGES
    assert times == sorted(times, reverse=True)
    assert all(change["before"] != change["after"] for change in told["changes"])
    assert (silent["state"], silent["last"], silent["changes"]) == (None, None, [])
    assert [each["name"] for each in explain(trace, NOW, other.name)] == [other.name]
    assert explain(trace, NOW, "nobody") == []
