"""Who may do what, by tokens and roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.kubernetes.api_server.access import Permission, permissions
from tests.cluster.kubernetes.api_server.plant import CONFIG_MAPS, PODS, ask, config_map, refusal, running
from tests.cluster.kubernetes.api_server.server import ADMINISTRATORS_TOKEN, ApiServer, api_server

RBAC = "rbac.authorization.k8s.io"
USER = "system:serviceaccount:default:reader"


@pytest.fixture
def guarded() -> Iterator[ApiServer]:
    with api_server(access_control=True) as running:
        yield running


def grant(server: ApiServer, *rules: dict[str, Any], cluster: bool = False) -> None:
    kind = "ClusterRole" if cluster else "Role"
    server.put({"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": "r"}, "rules": list(rules)})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    reference = {"apiGroup": RBAC, "kind": kind, "name": "r"}
    binding = {"metadata": {"name": "r"}, "roleRef": reference, "subjects": [subject]}
    server.put({"apiVersion": f"{RBAC}/v1", "kind": f"{kind}Binding", **binding})


def rule(verbs: str, resources: str, group: str = "", *names: str) -> dict[str, Any]:
    named = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **named}


def test_who_is_unknown_is_not_let_in_and_who_is_nobody_may_nothing(guarded: ApiServer) -> None:
    assert refusal(ask(guarded, "GET", PODS, token="forged"))[:2] == (401, "Unauthorized")
    assert refusal(ask(guarded, "GET", PODS)) == (
        403,
        "Forbidden",
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        'in the namespace "default"',
    )
    assert ask(guarded, "GET", PODS, token=ADMINISTRATORS_TOKEN).status == 200


def test_a_role_grants_its_verbs_on_its_resources_in_its_namespace(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    grant(guarded, rule("get list", "pods"))
    guarded.put(running("p"))
    guarded.put(running("p"), "elsewhere")
    assert ask(guarded, "GET", PODS, token=token).status == 200
    assert ask(guarded, "GET", f"{PODS}/p", token=token).status == 200
    assert ask(guarded, "GET", PODS.replace("default", "elsewhere"), token=token).status == 403
    assert ask(guarded, "GET", CONFIG_MAPS, token=token).status == 403
    assert refusal(ask(guarded, "DELETE", f"{PODS}/p", token=token))[2] == (
        f'pods "p" is forbidden: User "{USER}" cannot delete resource "pods" in API group "" in the namespace "default"'
    )
    assert refusal(ask(guarded, "GET", "/api/v1/pods", token=token))[2].endswith("at the cluster scope")


def test_watching_is_a_verb_of_its_own(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    grant(guarded, rule("get list", "pods"))
    assert "cannot watch" in refusal(ask(guarded, "GET", PODS, token=token, watch="true"))[2]


def test_a_subresource_is_granted_by_its_own_name(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    guarded.put(running("p"))
    body = {"metadata": {"name": "p"}}
    grant(guarded, rule("create delete", "pods"))
    refused = refusal(ask(guarded, "POST", f"{PODS}/p/eviction", body, token=token))
    assert 'cannot create resource "pods/eviction"' in refused[2]
    grant(guarded, rule("create", "pods/eviction"))
    assert ask(guarded, "POST", f"{PODS}/p/eviction", body, token=token).status == 201


def test_a_rule_of_names_covers_those_objects_only(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    for name in ("a", "b"):
        guarded.put(config_map(name))
    grant(guarded, rule("get list create", "configmaps", "", "a"))
    assert ask(guarded, "GET", f"{CONFIG_MAPS}/a", token=token).status == 200
    assert ask(guarded, "GET", f"{CONFIG_MAPS}/b", token=token).status == 403
    assert ask(guarded, "GET", CONFIG_MAPS, token=token).status == 403
    assert ask(guarded, "POST", CONFIG_MAPS, config_map("a"), token=token).status == 403


def test_a_cluster_role_that_is_bound_for_the_cluster_holds_everywhere(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    grant(guarded, rule("list", "nodes pods"), cluster=True)
    for path in ("/api/v1/nodes", "/api/v1/pods", PODS.replace("default", "kube-system")):
        assert ask(guarded, "GET", path, token=token).status == 200


def test_everyone_with_a_token_discovers_and_asks_what_they_may(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    grant(guarded, rule("list", "pods"))
    assert ask(guarded, "GET", "/apis", token=token).status == 200
    assert ask(guarded, "GET", "/version").status == 403
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for verb, expected in (("list", True), ("delete", False)):
        attributes = {"verb": verb, "resource": "pods", "namespace": "default"}
        review = ask(guarded, "POST", path, {"spec": {"resourceAttributes": attributes}}, token=token).json()
        assert review["status"]["allowed"] is expected


def test_what_is_forbidden_is_recorded_all_the_same(guarded: ApiServer) -> None:
    token = guarded.token("default", "reader")
    ask(guarded, "GET", f"{PODS}/p", token=token)
    [asked] = guarded.requests.arrived
    told = (asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace, asked.name, asked.user)
    assert told == ("get", "", "pods", "", "default", "p", USER)


def test_a_role_is_a_set_of_permissions() -> None:
    role = {"rules": [rule("get list", "pods pods/log"), rule("patch", "leases", "coordination.k8s.io", "l")]}
    assert sorted(permissions(role)) == [
        Permission("get", "", "pods"),
        Permission("get", "", "pods/log"),
        Permission("list", "", "pods"),
        Permission("list", "", "pods/log"),
        Permission("patch", "coordination.k8s.io", "leases", ("l",)),
    ]
