"""Bounds of worker groups: what pools want, within what values, nodes and quotas allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.kubernetes.capacity import Bounds, Declared, Plan, plan
from cluster.kubernetes.demand import Demand, demands
from cluster.kubernetes.node_pools import Node, node_of
from cluster.kubernetes.pods import Pod, pod_of
from cluster.kubernetes.quotas import Quota, quota_of
from cluster.kubernetes.ray_service import WorkerGroup, worker_group_of
from cluster.kubernetes.room import Surroundings
from deployments.config import ClusterConfig
from tests.cluster.kubernetes import things

GPUS = "requests.nvidia.com/gpu"
GROUPS = tuple(worker_group_of(each) for each in things.mixed_groups())
DECLARED = {"h100": Declared(0, 4), "l40s": Declared(0, 4)}


def pools(*given: things.Object) -> tuple[Demand, ...]:
    return demands(ClusterConfig.model_validate(things.args(*given)))


def nodes(h100: int = 0, l40s: int = 0) -> tuple[Node, ...]:
    made = [things.node(f"h{index}", things.H100) for index in range(h100)]
    made += [things.node(f"l{index}", things.L40S) for index in range(l40s)]
    return tuple(map(node_of, made))


def around(
    here: tuple[Node, ...] | None = None, quotas: Sequence[Quota] = (), pods: Sequence[Pod] = (), short: str = ""
) -> Surroundings:
    return Surroundings(here, tuple(quotas), tuple(pods), frozenset(short.split()))


def gpus_left(number: int, used: int = 0) -> Quota:
    return quota_of(things.quota("gpus", {GPUS: str(number + used)}, {GPUS: str(used)}))


def sizes(found: Plan) -> dict[str, tuple[int, int]]:
    return {each.group: (each.least, each.most) for each in found.bounds}


def bounds(found: Plan, group: str) -> Bounds:
    return next(each for each in found.bounds if each.group == group)


def test_with_room_enough_bounds_are_what_the_pools_want() -> None:
    found = plan(GROUPS, DECLARED, pools(things.LARGE, things.SMALL), around())
    assert sizes(found) == {"h100": (1, 4), "l40s": (1, 4)}
    assert found.unmet == ()
    assert bounds(found, "h100").reasons == ("room for 4 of llada/large",)


def test_groups_that_are_not_declared_are_left_alone() -> None:
    assert "gateway" not in sizes(plan(GROUPS, DECLARED, pools(things.LARGE), around()))


def test_no_group_grows_beyond_its_declared_bounds() -> None:
    declared = {"h100": Declared(2, 3), "l40s": Declared(1, 1)}
    found = plan(GROUPS, declared, pools(things.LARGE, things.SMALL), around())
    assert sizes(found) == {"h100": (2, 3), "l40s": (1, 1)}
    assert [(each.pool, each.lacking, each.is_floor) for each in found.unmet] == [
        ("llada/small", 3, False),
        ("llada/large", 1, False),
    ]
    assert found.unmet[1].reasons == ("h100: the values allow 3 pods",)


def test_nodes_bound_the_groups_that_may_run_on_them() -> None:
    found = plan(GROUPS, DECLARED, pools(things.LARGE, things.SMALL), around(nodes(h100=2, l40s=3)))
    assert sizes(found) == {"h100": (1, 2), "l40s": (1, 3)}
    assert "no node that it may run on has 1 nvidia.com/gpu left" in bounds(found, "h100").reasons


def test_a_node_that_is_cordoned_tainted_or_of_another_kind_is_no_room() -> None:
    others = [
        things.node("a", things.H100, cordoned=True),
        things.node("b", things.H100, ready=False),
        things.node("c", things.H100, taints=[{"key": "team", "value": "x", "effect": "NoExecute"}]),
        things.node("d", "NVIDIA-A100-SXM4-80GB"),
        things.node("e", things.H100, resource="nvidia.com/mig-1g.10gb"),
    ]
    found = plan(GROUPS, DECLARED, pools(things.LARGE), around(tuple(map(node_of, others))))
    assert sizes(found)["h100"] == (0, 0)


def test_an_accelerator_without_room_gives_its_share_to_another_that_the_pool_may_use() -> None:
    assert sizes(plan(GROUPS, DECLARED, pools(things.EITHER), around(nodes(h100=0, l40s=4)))) == {
        "h100": (0, 0),
        "l40s": (2, 4),
    }
    assert sizes(plan(GROUPS, DECLARED, pools(things.EITHER), around(nodes(h100=1, l40s=2)))) == {
        "h100": (1, 1),
        "l40s": (1, 2),
    }


def test_a_short_group_gives_its_share_though_nodes_seem_free() -> None:
    found = plan(GROUPS, DECLARED, pools(things.EITHER), around(nodes(h100=4, l40s=4), short="h100"))
    assert sizes(found) == {"h100": (0, 0), "l40s": (2, 4)}
    assert (
        "its pods have waited for nodes in vain"
        in bounds(plan(GROUPS, DECLARED, pools(things.LARGE), around(short="h100")), "h100").reasons
    )


def test_the_cheaper_accelerator_goes_first() -> None:
    """What an accelerator costs is what the pools that are bound to it cost."""
    found = plan(GROUPS, DECLARED, pools(things.EITHER, things.SMALL, things.LARGE), around())
    assert sizes(found)["l40s"][1] == 4
    expensive = {**things.SMALL, "accelerator": {"type": "L40S", "price_per_hour": 9.0}}
    wide = {"h100": Declared(0, 12), "l40s": Declared(0, 12)}
    cheap_first = sizes(plan(GROUPS, wide, pools(things.EITHER, things.SMALL, things.LARGE), around()))
    dear_first = sizes(plan(GROUPS, wide, pools(things.EITHER, expensive, things.LARGE), around()))
    assert (cheap_first["l40s"][1], cheap_first["h100"][1]) == (8, 4)
    assert (dear_first["l40s"][1], dear_first["h100"][1]) == (4, 8)


def test_a_quota_is_shared_by_turns_and_floors_go_first() -> None:
    found = plan(GROUPS, DECLARED, pools(things.LARGE, things.SMALL), around(quotas=[gpus_left(5)]))
    assert sizes(found) == {"h100": (1, 2), "l40s": (1, 3)}
    assert "the quota gpus leaves too little requests.nvidia.com/gpu" in bounds(found, "h100").reasons
    assert {each.is_floor for each in found.unmet} == {False}
    scarce = plan(GROUPS, DECLARED, pools(things.LARGE, things.SMALL), around(quotas=[gpus_left(1)]))
    assert sizes(scarce) == {"h100": (0, 0), "l40s": (1, 1)}
    assert next((each.pool, each.is_floor) for each in scarce.unmet) == ("llada/large", True)


def test_pods_that_exist_are_in_what_a_quota_counts_as_used() -> None:
    running = [pod_of(things.pod(f"p{index}", "h100", "h0")) for index in range(2)]
    found = plan(GROUPS, DECLARED, pools(things.LARGE), around(quotas=[gpus_left(1, used=2)], pods=running))
    assert sizes(found)["h100"] == (1, 3)


def test_a_pod_that_waits_for_a_node_is_in_what_a_quota_counts_as_used_too() -> None:
    waiting = [pod_of(things.pod("p", "h100", None))]
    found = plan(GROUPS, DECLARED, pools(things.LARGE), around(quotas=[gpus_left(0, used=1)], pods=waiting))
    assert sizes(found)["h100"] == (1, 1)


def test_shares_of_devices_do_not_span_two_of_them() -> None:
    [pool] = pools({**things.LARGE, "gpus": 0.4, "cpus": 0.0})
    group = worker_group_of(things.group("h100", "H100", gpus=2))
    assert pool.slots(group) == 4


def test_what_runs_stays_though_a_quota_shrank_or_the_group_is_short() -> None:
    running = [pod_of(things.pod(f"p{index}", "h100", f"h{index}")) for index in range(3)]
    here = around(nodes(h100=3), quotas=[gpus_left(0, used=3)], pods=running, short="h100")
    assert sizes(plan(GROUPS, DECLARED, pools(things.LARGE), here))["h100"] == (1, 3)
    assert sizes(plan(GROUPS, DECLARED, pools(things.SMALL), here))["h100"] == (0, 3)


def test_what_ran_on_a_node_that_is_gone_does_not_stay() -> None:
    running = [pod_of(things.pod(f"p{index}", "h100", f"h{index}")) for index in range(3)]
    found = plan(GROUPS, DECLARED, pools(things.SMALL), around(nodes(h100=1), pods=running))
    assert sizes(found)["h100"] == (0, 1)


def test_what_runs_on_a_node_that_is_not_heard_of_stays() -> None:
    silent = (node_of(things.node("h0", ready=False)),)
    found = plan(GROUPS, DECLARED, pools(things.LARGE), around(silent, pods=[pod_of(things.pod("p", "h100", "h0"))]))
    assert sizes(found)["h100"] == (1, 1)


def test_several_replicas_share_a_pod_when_they_fit() -> None:
    halves = {**things.LARGE, "gpus": 0.5, "cpus": 1.0}
    assert sizes(plan(GROUPS, DECLARED, pools(halves), around()))["h100"] == (1, 2)
    crowded = {**things.LARGE, "gpus": 0.5, "cpus": 12.0}
    assert sizes(plan(GROUPS, DECLARED, pools(crowded), around()))["h100"] == (1, 4)


def test_a_replica_larger_than_a_pod_has_no_group() -> None:
    found = plan(GROUPS, DECLARED, pools({**things.LARGE, "gpus": 2.0}), around())
    assert [(each.pool, each.reasons) for each in found.unmet if each.is_floor] == [
        ("llada/large", ("no group has what it asks for",))
    ]


def test_replicas_without_gpus_go_where_no_gpu_is_kept_from_others() -> None:
    groups = (*GROUPS, worker_group_of(things.group("cpu")))
    declared = {**DECLARED, "cpu": Declared(0, 9)}
    plain = Demand("tiny/default", 1, 20, Fraction(6), Fraction(0), {"dllm/role": "worker"}, 0.0)
    assert sizes(plan(groups, declared, [plain], around())) == {"h100": (0, 1), "l40s": (0, 0), "cpu": (1, 9)}


def test_an_existing_pod_is_used_before_a_cheaper_one_is_made() -> None:
    running = [pod_of(things.pod(f"p{index}", "h100", f"h{index}")) for index in range(2)]
    here = around(nodes(h100=4, l40s=4), pods=running)
    flexible = pools({**things.EITHER, "max_replicas": 2}, things.SMALL)
    found = plan(GROUPS, DECLARED, flexible, here)
    assert sizes(found)["h100"] == (2, 2)


# What holds of every plan.

COUNTS = st.integers(0, 6)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[dict[str, Declared], tuple[Demand, ...], Surroundings]:
    declared = {name: Declared(*sorted((draw(COUNTS), draw(COUNTS)))) for name in ("h100", "l40s")}
    wanted = []
    for name, selector in (
        ("large", {"ray.io/accelerator-type": "H100"}),
        ("small", {"ray.io/accelerator-type": "L40S"}),
        ("either", {"ray.io/accelerator-type": "in(H100,L40S)"}),
        ("any", {"dllm/role": "worker"}),
    ):
        least, most = sorted((draw(COUNTS), draw(COUNTS)))
        gpus = draw(st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 4)]))
        price = draw(st.sampled_from([0.0, 1.0, 2.0]))
        wanted.append(Demand(name, least, most, Fraction(1), gpus, selector, price))
    here = nodes(draw(COUNTS), draw(COUNTS))
    pods = []
    for place in here:
        kind = "h100" if place.name.startswith("h") else "l40s"
        if draw(st.booleans()):
            pods.append(pod_of(things.pod(f"on-{place.name}", kind, place.name)))
    pods += [pod_of(things.pod(f"waits-{index}", "h100", None)) for index in range(draw(st.integers(0, 2)))]
    quotas = [gpus_left(draw(COUNTS), used=len(pods))] if draw(st.booleans()) else []
    short = draw(st.sampled_from(["", "h100", "l40s"]))
    return declared, tuple(wanted), around(draw(st.sampled_from([None, here])), quotas, pods, short)


def placed(pods: Sequence[Pod], group: str) -> int:
    return sum(pod.group == group and pod.node is not None for pod in pods)


@settings(max_examples=25, deadline=None)
@given(clusters())
def test_bounds_are_a_range_within_the_declared_one(
    cluster: tuple[dict[str, Declared], tuple[Demand, ...], Surroundings],
) -> None:
    declared, wanted, here = cluster
    for each in plan(GROUPS, declared, wanted, here).bounds:
        assert 0 <= each.least <= each.most <= declared[each.group].most


@settings(max_examples=25, deadline=None)
@given(clusters())
def test_bounds_stay_within_nodes_and_quotas_and_hold_what_runs(
    cluster: tuple[dict[str, Declared], tuple[Demand, ...], Surroundings],
) -> None:
    declared, wanted, here = cluster
    most = {each.group: each.most for each in plan(GROUPS, declared, wanted, here).bounds}
    for group in most:
        assert most[group] >= min(placed(here.pods, group), declared[group].most)
        if here.nodes is not None:
            assert most[group] <= sum(node.name.startswith(group[0]) for node in here.nodes)
    for quota in here.quotas:
        existing = {group: sum(pod.group == group for pod in here.pods) for group in most}
        assert sum(max(0, most[group] - existing[group]) for group in most) <= quota.left[GPUS]


@settings(max_examples=25, deadline=None)
@given(clusters())
def test_what_is_lacking_is_what_was_wanted_less_what_has_a_place(
    cluster: tuple[dict[str, Declared], tuple[Demand, ...], Surroundings],
) -> None:
    declared, wanted, here = cluster
    found = plan(GROUPS, declared, wanted, here)
    lacking = {(each.pool, each.is_floor): each.lacking for each in found.unmet}
    assert all(number > 0 for number in lacking.values())
    room = sum(each.most for each in found.bounds)
    given_places = sum(pool.most for pool in wanted) - sum(lacking.values())
    assert given_places <= room * 4
    for each in found.unmet:
        assert each.reasons


@settings(max_examples=25, deadline=None)
@given(clusters(), st.integers(0, 12))
def test_a_larger_quota_never_leaves_less_room_in_all(
    cluster: tuple[dict[str, Declared], tuple[Demand, ...], Surroundings], left: int
) -> None:
    """Each pod here holds one device. One group alone may get fewer: a share that it had gone back to a cheaper one."""
    declared, wanted, here = cluster
    smaller, larger = (replace(here, quotas=(gpus_left(each, used=len(here.pods)),)) for each in (left, left + 1))
    before, after = (
        sum(each.most for each in plan(GROUPS, declared, wanted, place).bounds) for place in (smaller, larger)
    )
    assert after >= before


@settings(max_examples=25, deadline=None)
@given(clusters(), COUNTS)
def test_a_larger_quota_never_shrinks_the_only_group(
    cluster: tuple[dict[str, Declared], tuple[Demand, ...], Surroundings], left: int
) -> None:
    declared, wanted, here = cluster
    only = {"h100": declared["h100"]}
    smaller, larger = (replace(here, quotas=(gpus_left(each, used=len(here.pods)),)) for each in (left, left + 1))
    [before], [after] = (plan(GROUPS, only, wanted, place).bounds for place in (smaller, larger))
    assert (after.least, after.most) >= (before.least, before.most)
    assert after.least >= before.least


def test_the_groups_of_the_chart_are_read() -> None:
    h100: WorkerGroup = GROUPS[1]
    assert (h100.devices, h100.cpus, h100.resource, h100.labels["dllm/pool"]) == (1, 12, "nvidia.com/gpu", "h100")
