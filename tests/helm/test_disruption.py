from __future__ import annotations

import json

import pytest

from tests.helm.chart import VALUES, Object, RenderError, every, pick, pod_templates, ray_pods, render
from tests.helm.edges import selects

shapes = pytest.mark.parametrize("values", VALUES, ids=lambda values: " ".join(values) or "default")


def groups(objects: list[Object]) -> dict[str, tuple[dict[str, str], int]]:
    """The labels of each group of pods, and how many there are at least. KubeRay adds the group's name."""
    cluster = pick(objects, "RayService")["spec"]["rayClusterConfig"]
    found = {}
    for group in cluster["workerGroupSpecs"]:
        labels = group["template"]["metadata"]["labels"] | {"ray.io/group": group["groupName"]}
        found[group["groupName"]] = (labels, group["minReplicas"])
    for each in every(objects, "Deployment"):
        found[each["metadata"]["name"]] = (each["spec"]["template"]["metadata"]["labels"], each["spec"]["replicas"])
    return found


@shapes
def test_each_group_of_several_pods_loses_one_at_a_time_and_others_can_be_evicted(values: tuple[str, ...]) -> None:
    objects = render(*values)
    budgets = [each["spec"] for each in every(objects, "PodDisruptionBudget")]
    for name, (labels, least) in groups(objects).items():
        wanted = [budget["minAvailable"] for budget in budgets if selects(budget["selector"], labels)]
        assert wanted == ([least - 1] if least > 1 else []), name
    assert all("maxUnavailable" not in budget for budget in budgets)


def test_a_budget_follows_the_number_of_pods() -> None:
    budget = pick(render(gateways__replicas="5", config__gateway__replicas="5"), "PodDisruptionBudget", "gateway")
    assert budget["spec"]["minAvailable"] == 4
    objects = render(workers__cpu__minReplicas="2", collector__enabled="true", collector__replicas="3")
    assert {each["metadata"]["name"] for each in every(objects, "PodDisruptionBudget")} == {
        "release-dllm-cluster-gateway",
        "release-dllm-cluster-cpu",
        "release-dllm-cluster-collector",
    }
    assert every(render(disruption__budgets="false"), "PodDisruptionBudget") == []


@shapes
def test_gateways_and_workers_are_spread_within_their_group(values: tuple[str, ...]) -> None:
    for group, template in ray_pods(pick(render(*values), "RayService")).items():
        constraints = template["spec"].get("topologySpreadConstraints", [])
        assert bool(constraints) == (group != "head")
        for constraint in constraints:
            assert constraint["maxSkew"] == 1
            assert selects(constraint["labelSelector"], template["metadata"]["labels"])
            assert constraint["matchLabelKeys"] == ["ray.io/cluster", "ray.io/group"]


def test_no_spread_is_asked_for_where_none_is_given() -> None:
    assert "topologySpreadConstraints" not in json.dumps(render(disruption__topologySpread="[]"))


def test_every_pod_has_the_priority_class_that_is_named() -> None:
    objects = render("ha")
    made = pick(objects, "PriorityClass")
    assert made["value"] == 100000
    pods = {name: template["spec"]["priorityClassName"] for name, template in pod_templates(objects)}
    assert set(pods.values()) == {made["metadata"]["name"]}
    assert every(render(disruption__priorityClass='"own"'), "PriorityClass") == []
    with pytest.raises(RenderError, match=r"disruption\.priorityClass"):
        render(disruption__priority="10")


@shapes
def test_a_token_goes_with_an_account_that_may_do_something_and_only_with_that(values: tuple[str, ...]) -> None:
    objects = render(*values)
    accounts = {each["metadata"]["name"]: each for each in every(objects, "ServiceAccount")}
    bound = {
        subject["name"]
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for binding in every(objects, kind)
        for subject in binding["subjects"]
    }
    for name, template in pod_templates(objects):
        account, has_token = (
            template["spec"].get(key) for key in ("serviceAccountName", "automountServiceAccountToken")
        )
        assert has_token == (account in bound), name
        if account is None:
            continue
        assert accounts[account]["automountServiceAccountToken"] is False
