"""What the chart grants is what the commands ask for."""

from __future__ import annotations

from tests.cluster.kubernetes.verbs import CAPACITY_LOOP, COMMANDS, PEOPLE, Right, rules
from tests.helm.chart import Object, every, render

SUBJECTS = '[{"kind": "Group", "name": "dllm-operators", "apiGroup": "rbac.authorization.k8s.io"}]'


def granted(objects: list[Object], name: str) -> dict[tuple[str, str], frozenset[str]]:
    """By API group and resource, the verbs of the roles whose names end so."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for role in (*every(objects, "Role"), *every(objects, "ClusterRole")):
        for rule in role["rules"] if role["metadata"]["name"].endswith(f"-{name}") else ():
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    found[group, resource] = found.get((group, resource), frozenset()) | frozenset(rule["verbs"])
    return found


def test_people_are_granted_the_verbs_of_the_commands() -> None:
    assert granted(render("h100", operator__subjects=SUBJECTS), "operator") == rules(PEOPLE)


def test_the_loop_is_granted_its_own_verbs() -> None:
    assert granted(render("h100", capacity__enabled="true"), "capacity") == rules(CAPACITY_LOOP)


def test_a_loop_that_reads_no_nodes_may_read_none() -> None:
    objects = render("h100", capacity__enabled="true", capacity__elasticNodes="true")
    without = {right for right in CAPACITY_LOOP if right.resource.is_namespaced}
    assert granted(objects, "capacity") == rules(without)
    assert every(objects, "ClusterRole") == []


def test_only_kinds_of_the_whole_cluster_are_granted_on_it() -> None:
    objects = render("h100", capacity__enabled="true", operator__subjects=SUBJECTS)
    on_all = {
        resource for role in every(objects, "ClusterRole") for rule in role["rules"] for resource in rule["resources"]
    }
    assert on_all == {"nodes"}
    assert all(right.resource.plural == "nodes" for rights in COMMANDS.values() for right in rights if _is_wide(right))


def _is_wide(right: Right) -> bool:
    return not right.resource.is_namespaced


def test_nobody_is_granted_anything_by_default() -> None:
    objects = render("h100")
    assert every(objects, "Role") == []
    assert every(objects, "ClusterRole") == []


def test_only_the_release_may_be_patched_by_the_loop() -> None:
    [role] = every(render("h100", capacity__enabled="true"), "Role")
    named = [rule for rule in role["rules"] if "patch" in rule["verbs"]]
    assert [rule["resourceNames"] for rule in named] == [["release-dllm-cluster"], ["release-dllm-cluster-capacity"]]
