"""The order in which a node is emptied, and what is waited for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.kubernetes.drain import Drain, Drained, Evict, Wait
from cluster.kubernetes.pods import Pod, pod_of
from tests.cluster.kubernetes import things

NODE = "n1"


def pods(*objects: things.Object) -> list[Pod]:
    return [pod_of(each) for each in objects]


def leaving(name: str, group: str = "h100") -> things.Object:
    value = things.pod(name, group, NODE)
    value["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    return value


def state_server() -> things.Object:
    value = things.pod("release-state-0", "", NODE)
    value["metadata"]["labels"] = {"app.kubernetes.io/instance": things.RELEASE, "app.kubernetes.io/component": "state"}
    return value


def test_workers_go_one_by_one_then_the_head_then_what_ray_does_not_run() -> None:
    here = pods(things.pod("head", "headgroup"), things.pod("b", "h100"), things.pod("a", "gateway"), state_server())
    drain = Drain.of(NODE, here)
    order = []
    while isinstance(step := drain.next(here, {}), Evict):
        order.append(step.pod.name)
        replacement = replace(step.pod, name=f"new-{step.pod.name}", node="n2")
        here = [replacement if pod == step.pod else pod for pod in here]
    assert step == Drained()
    assert order == ["a", "b", "head", "release-state-0"]


def test_a_pod_that_is_not_ready_serves_nobody_and_goes_first() -> None:
    here = pods(things.pod("a", "h100"), things.pod("b", "h100", ready=False))
    step = Drain.of(NODE, here).next(here, {})
    assert isinstance(step, Evict)
    assert step.pod.name == "b"


def test_the_next_waits_until_the_one_before_has_left() -> None:
    before = pods(things.pod("a", "h100"), things.pod("b", "gateway"))
    step = Drain.of(NODE, before).next(pods(leaving("a"), things.pod("b", "gateway")), {})
    assert step == Wait("a finishes its work")


def test_the_next_waits_until_the_one_before_has_been_replaced() -> None:
    drain = Drain.of(NODE, pods(things.pod("a", "h100"), things.pod("b", "gateway")))
    starting = pods(things.pod("a2", "h100", "n2", ready=False), things.pod("b", "gateway"))
    assert drain.next(starting, {}) == Wait("the group h100 has 0 of 1 pods ready")
    started = pods(things.pod("a2", "h100", "n2"), things.pod("b", "gateway"))
    assert isinstance(drain.next(started, {}), Evict)


def test_what_the_autoscaler_no_longer_wants_is_not_waited_for() -> None:
    drain = Drain.of(NODE, pods(things.pod("a", "h100"), things.pod("b", "gateway")))
    rest = pods(things.pod("b", "gateway", "n2"))
    assert isinstance(drain.next(rest, {(things.CLUSTER, "h100"): 1}), Wait)
    assert drain.next(rest, {(things.CLUSTER, "h100"): 0}) == Drained()


def test_a_ray_cluster_that_was_taken_down_is_not_waited_for() -> None:
    drain = Drain.of(NODE, pods(things.pod("a", "h100", cluster="old"), things.pod("b", "h100", "n2")))
    assert drain.next(pods(things.pod("b", "h100", "n2")), {}) == Drained()


def test_pods_elsewhere_and_pods_that_ended_stay() -> None:
    ended = things.pod("done", "h100", NODE)
    ended["status"]["phase"] = "Failed"
    here = pods(things.pod("a", "h100", "n2"), ended)
    assert Drain.of(NODE, here).next(here, {}) == Drained()


@settings(max_examples=25, deadline=None)
@given(
    groups=st.lists(st.sampled_from(["gateway", "h100", "headgroup"]), min_size=1, max_size=6),
    slow=st.randoms(use_true_random=False),
)
def test_never_is_more_than_one_pod_missing_and_the_draining_ends(groups: list[str], slow: object) -> None:
    """The cluster in small: an evicted pod leaves, and its replacement gets ready, after any number of looks."""
    assert hasattr(slow, "random")
    present = {f"p{index}": things.pod(f"p{index}", group, NODE) for index, group in enumerate(groups)}
    whole = Counter(groups)
    drain = Drain.of(NODE, pods(*present.values()))
    for _ in range(200):
        seen = pods(*present.values())
        step = drain.next(seen, {})
        if isinstance(step, Drained):
            break
        if isinstance(step, Evict):
            assert all(pod.is_ready and not pod.is_leaving for pod in seen)
            present[step.pod.name] = leaving(step.pod.name, step.pod.group)
        elif slow.random() < 0.5:
            for name, value in list(present.items()):
                if "deletionTimestamp" in value["metadata"]:
                    del present[name]
                    group = value["metadata"]["labels"]["ray.io/group"]
                    present[f"{name}-new"] = things.pod(f"{name}-new", group, "n2", ready=False)
                elif value["spec"]["nodeName"] == "n2":
                    present[name] = things.pod(name, value["metadata"]["labels"]["ray.io/group"], "n2")
    else:
        pytest.fail("the draining does not end")
    rest = pods(*present.values())
    assert Counter(pod.group for pod in rest if pod.is_ready) == whole
    assert {pod.node for pod in rest} == {"n2"}
