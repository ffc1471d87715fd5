"""Making, replacing and removing objects: identities, versions, generations, conflicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.kubernetes.api_server.plant import (
    CONFIG_MAPS,
    LEASES,
    PODS,
    WIDGET_DEFINITION,
    WIDGETS,
    ask,
    config_map,
    pod,
    refusal,
    widget,
)
from tests.cluster.kubernetes.api_server.server import ApiServer, api_server


def test_the_official_client_makes_reads_and_removes_an_object(server: ApiServer) -> None:
    core = client.CoreV1Api(server.client())
    metadata = client.V1ObjectMeta(name="c")
    made = core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=metadata, data={"a": "1"}))
    assert made.metadata is not None
    assert made.metadata.uid
    assert made.metadata.resource_version
    assert str(made.metadata.creation_timestamp) == "2026-11-22 12:00:00+00:00"
    assert core.read_namespaced_config_map("c", "default").data == {"a": "1"}
    core.delete_namespaced_config_map("c", "default")
    with pytest.raises(client.ApiException) as caught:
        core.read_namespaced_config_map("c", "default")
    assert caught.value.status == 404


def test_making_answers_201_and_a_taken_name_is_a_conflict(server: ApiServer) -> None:
    assert ask(server, "POST", CONFIG_MAPS, config_map("c")).status == 201
    again = ask(server, "POST", CONFIG_MAPS, config_map("c"))
    assert refusal(again) == (409, "AlreadyExists", 'configmaps "c" already exists')
    assert again.json()["details"] == {"name": "c", "kind": "configmaps"}


def test_versions_are_of_one_counter_over_all_resources(server: ApiServer) -> None:
    first = ask(server, "POST", CONFIG_MAPS, config_map("c")).json()["metadata"]
    second = ask(server, "POST", PODS, pod("p")).json()["metadata"]
    assert int(second["resourceVersion"]) == int(first["resourceVersion"]) + 1
    assert first["uid"] != second["uid"]


def test_a_write_that_is_based_on_an_older_version_is_a_conflict(server: ApiServer) -> None:
    made = ask(server, "POST", CONFIG_MAPS, config_map("c")).json()
    assert ask(server, "PUT", f"{CONFIG_MAPS}/c", {**made, "data": {"a": "1"}}).status == 200
    stale = ask(server, "PUT", f"{CONFIG_MAPS}/c", {**made, "data": {"a": "2"}})
    assert refusal(stale) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; '
        "please apply your changes to the latest version and try again",
    )
    assert server.read("ConfigMap", "c")["data"] == {"a": "1"}


def test_a_write_that_changes_nothing_makes_no_version(server: ApiServer) -> None:
    made = ask(server, "POST", CONFIG_MAPS, config_map("c")).json()
    assert ask(server, "PUT", f"{CONFIG_MAPS}/c", made).json() == made


def test_leases_and_custom_objects_are_replaced_by_version_only(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    ask(server, "POST", WIDGETS, widget())
    code, reason, message = refusal(ask(server, "PUT", f"{WIDGETS}/w", widget(size=2)))
    assert (code, reason) == (422, "Invalid")
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in message
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    ask(server, "POST", LEASES, lease)
    assert ask(server, "PUT", f"{LEASES}/l", lease).status == 422
    ask(server, "POST", CONFIG_MAPS, config_map("c"))
    assert ask(server, "PUT", f"{CONFIG_MAPS}/c", config_map("c", {"a": "1"})).status == 200


def test_the_generation_counts_changes_of_what_is_desired(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    made = ask(server, "POST", WIDGETS, widget()).json()
    assert made["metadata"]["generation"] == 1
    labelled = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}, "generation": 7}}
    after = ask(server, "PUT", f"{WIDGETS}/w", labelled).json()
    assert after["metadata"]["generation"] == 1
    grown = ask(server, "PUT", f"{WIDGETS}/w", {**after, "spec": {"size": 2}}).json()
    assert grown["metadata"]["generation"] == 2


def test_a_status_is_written_through_its_subresource_alone(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    made = ask(server, "POST", WIDGETS, {**widget(), "status": {"ready": True}}).json()
    assert "status" not in made
    through_object = ask(server, "PUT", f"{WIDGETS}/w", {**made, "status": {"ready": True}}).json()
    assert "status" not in through_object
    changed = {**made, "spec": {"size": 9}, "status": {"ready": True}}
    through_status = ask(server, "PUT", f"{WIDGETS}/w/status", changed).json()
    assert through_status["status"] == {"ready": True}
    assert through_status["spec"]["size"] == 1
    assert through_status["metadata"]["generation"] == 1
    kept = ask(server, "PUT", f"{WIDGETS}/w", {**through_status, "spec": {"size": 3}, "status": {}}).json()
    assert (kept["status"], kept["spec"]["size"]) == ({"ready": True}, 3)


def test_what_the_server_owns_cannot_be_set(server: ApiServer) -> None:
    body = config_map("c")
    body["metadata"] |= {"uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z"}
    made = ask(server, "POST", CONFIG_MAPS, body).json()
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["creationTimestamp"] == "2026-11-22T12:00:00Z"
    other = {**made, "metadata": {**made["metadata"], "uid": "mine"}}
    assert refusal(ask(server, "PUT", f"{CONFIG_MAPS}/c", other))[1] == "Conflict"
    renamed = {**made, "metadata": {**made["metadata"], "name": "d"}}
    assert refusal(ask(server, "PUT", f"{CONFIG_MAPS}/c", renamed))[1] == "BadRequest"


def test_an_object_of_a_version_cannot_be_made(server: ApiServer) -> None:
    body = config_map("c")
    body["metadata"]["resourceVersion"] = "3"
    assert refusal(ask(server, "POST", CONFIG_MAPS, body))[2] == (
        "resourceVersion should not be set on objects to be created"
    )


def test_a_generated_name_is_its_prefix_and_more(server: ApiServer) -> None:
    body = config_map("c")
    body["metadata"] = {"generateName": "c-"}
    names = {ask(server, "POST", CONFIG_MAPS, body).json()["metadata"]["name"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("c-") for name in names)


@pytest.mark.parametrize("name", ["Upper", "a_b", "-a", "a" * 254, ""])
def test_a_name_that_is_none_is_refused(server: ApiServer, name: str) -> None:
    assert refusal(ask(server, "POST", CONFIG_MAPS, config_map(name)))[:2] == (422, "Invalid")


def test_nothing_is_made_in_a_namespace_that_is_not_there(server: ApiServer) -> None:
    elsewhere = CONFIG_MAPS.replace("default", "elsewhere")
    assert refusal(ask(server, "POST", elsewhere, config_map("c"))) == (
        404,
        "NotFound",
        'namespaces "elsewhere" not found',
    )
    body = config_map("c")
    body["metadata"]["namespace"] = "elsewhere"
    assert refusal(ask(server, "POST", CONFIG_MAPS, body))[1] == "BadRequest"


def test_a_removed_namespace_takes_what_is_in_it_along(server: ApiServer) -> None:
    server.put(config_map("c"), "tenants")
    ask(server, "DELETE", "/api/v1/namespaces/tenants")
    assert server.names("ConfigMap") == []
    assert "tenants" not in server.names("Namespace")


def test_a_removal_can_state_what_it_is_of(server: ApiServer) -> None:
    ask(server, "POST", CONFIG_MAPS, config_map("c"))
    response = ask(server, "DELETE", f"{CONFIG_MAPS}/c", {"preconditions": {"uid": "another"}})
    assert refusal(response)[1] == "Conflict"
    assert server.names("ConfigMap") == ["c"]


def test_an_object_with_a_finalizer_stays_until_that_is_gone(server: ApiServer) -> None:
    body = config_map("c")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    ask(server, "POST", CONFIG_MAPS, body)
    waiting = ask(server, "DELETE", f"{CONFIG_MAPS}/c").json()
    assert waiting["metadata"]["deletionTimestamp"] == "2026-11-22T12:00:00Z"
    ask(server, "PUT", f"{CONFIG_MAPS}/c", {**waiting, "metadata": {**waiting["metadata"], "finalizers": []}})
    assert server.names("ConfigMap") == []


def test_what_an_object_owns_goes_with_it_unless_it_is_orphaned(server: ApiServer) -> None:
    for name, policy in (("taken", "Background"), ("kept", "Orphan")):
        owner = ask(server, "POST", CONFIG_MAPS, config_map(f"owner-{name}")).json()["metadata"]
        owned = config_map(name)
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner["name"], "uid": owner["uid"]}
        owned["metadata"]["ownerReferences"] = [reference]
        ask(server, "POST", CONFIG_MAPS, owned)
        ask(server, "DELETE", f"{CONFIG_MAPS}/{owner['name']}", {"propagationPolicy": policy})
    assert server.names("ConfigMap") == ["kept"]


def test_a_pod_on_a_node_ends_when_its_kubelet_has_ended_it() -> None:
    with api_server(kubelets_end_pods=False) as server:
        for name, node in (("bound", "node"), ("pending", None)):
            ask(server, "POST", PODS, pod(name, node))
            ask(server, "DELETE", f"{PODS}/{name}")
        assert server.names("Pod") == ["bound"]
        assert server.read("Pod", "bound")["metadata"]["deletionGracePeriodSeconds"] == 30
        server.registry.end_pod("default", "bound")
        assert server.names("Pod") == []


def test_a_tried_write_is_checked_and_not_made(server: ApiServer) -> None:
    assert ask(server, "POST", CONFIG_MAPS, config_map("c"), dryRun="All").status == 201
    assert server.names("ConfigMap") == []
    assert ask(server, "POST", CONFIG_MAPS, config_map("A"), dryRun="All").status == 422
    ask(server, "POST", CONFIG_MAPS, config_map("c"))
    tried = ask(server, "PUT", f"{CONFIG_MAPS}/c", config_map("c", {"a": "1"}), dryRun="All")
    assert tried.json()["data"] == {"a": "1"}
    ask(server, "DELETE", f"{CONFIG_MAPS}/c", dryRun="All")
    assert server.read("ConfigMap", "c")["data"] == {}


def test_a_collection_is_removed_by_its_labels(server: ApiServer) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        ask(server, "POST", CONFIG_MAPS, config_map(name, colour=colour))
    ask(server, "DELETE", CONFIG_MAPS, labelSelector="colour=red")
    assert server.names("ConfigMap") == ["b"]


def test_paths_and_bodies_that_mean_nothing_are_refused_by_name(server: ApiServer) -> None:
    assert refusal(ask(server, "GET", "/api/v1/namespaces/default/gadgets"))[:2] == (404, "NotFound")
    assert refusal(ask(server, "GET", "/nothing"))[:2] == (404, "NotFound")
    assert refusal(ask(server, "GET", f"{PODS}/p/log"))[:2] == (404, "NotFound")
    cbor = ask(server, "POST", PODS, {}, kind="application/cbor")
    assert refusal(cbor)[:2] == (415, "UnsupportedMediaType")
    other_kind = ask(server, "POST", PODS, config_map("c"))
    assert refusal(other_kind)[:2] == (400, "BadRequest")


def test_fixed_fields_do_not_change(server: ApiServer) -> None:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod("p")["spec"]}
    spec = {"serviceName": "s", "selector": {"matchLabels": labels}, "template": template, "replicas": 1}
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    made = ask(server, "POST", path, {"metadata": {"name": "s"}, "spec": spec}).json()
    moved = {**made, "spec": {**spec, "serviceName": "t"}}
    assert "spec.serviceName: Invalid value: field is immutable" in refusal(ask(server, "PUT", f"{path}/s", moved))[2]
    assert ask(server, "PUT", f"{path}/s", {**made, "spec": {**spec, "replicas": 2}}).status == 200


def test_a_configuration_file_leads_the_official_client_here(server: ApiServer, tmp_path: Path) -> None:
    from kubernetes import config

    path = server.kubeconfig(tmp_path / "kubeconfig")
    configuration = client.Configuration()
    config.load_kube_config(str(path), client_configuration=configuration)
    api: Any = client.ApiClient(configuration)
    with api:
        assert client.VersionApi(api).get_code().minor == "37"
