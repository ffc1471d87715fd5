"""Lists: selectors, pages, versions, and what their items say."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client

from tests.cluster.kubernetes.api_server.plant import (
    CONFIG_MAPS,
    PODS,
    WIDGET_DEFINITION,
    WIDGETS,
    ask,
    config_map,
    pod,
    refusal,
    running,
    widget,
)
from tests.cluster.kubernetes.api_server.server import ApiServer


@pytest.fixture(autouse=True)
def colours(server: ApiServer) -> None:
    for name, labels in (("a", {"colour": "red", "size": "1"}), ("b", {"colour": "blue"}), ("c", {})):
        server.put(config_map(name, {}, **labels))


def names(server: ApiServer, path: str, **query: Any) -> list[str]:
    return [item["metadata"]["name"] for item in ask(server, "GET", path, **query).json()["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("colour=red", "a"),
        ("colour==red", "a"),
        ("colour!=red", "bc"),
        ("colour in (red, blue)", "ab"),
        ("colour notin (red)", "bc"),
        ("colour", "ab"),
        ("!colour", "c"),
        ("colour,size=1", "a"),
        ("colour in (red,blue),!size", "b"),
        ("", "abc"),
    ],
)
def test_labels_select(server: ApiServer, selector: str, expected: str) -> None:
    assert "".join(names(server, CONFIG_MAPS, labelSelector=selector)) == expected


def test_fields_select_where_the_resource_has_them(server: ApiServer) -> None:
    server.put(running("r"))
    server.put(pod("p"))
    assert names(server, PODS, fieldSelector="spec.nodeName=node") == ["r"]
    assert names(server, PODS, fieldSelector="status.phase!=Running,metadata.name=p") == ["p"]
    assert names(server, CONFIG_MAPS, fieldSelector="metadata.name=b") == ["b"]
    unknown = refusal(ask(server, "GET", PODS, fieldSelector="spec.priority=1"))
    assert unknown == (400, "BadRequest", 'field label not supported: "spec.priority"')


def test_a_selector_that_is_none_is_refused(server: ApiServer) -> None:
    assert refusal(ask(server, "GET", CONFIG_MAPS, labelSelector="a b"))[0] == 400


def test_a_list_is_of_a_namespace_or_of_all(server: ApiServer) -> None:
    server.put(config_map("d"), "elsewhere")
    assert names(server, CONFIG_MAPS) == ["a", "b", "c"]
    assert names(server, "/api/v1/configmaps") == ["a", "b", "c", "d"]


def test_items_of_built_in_kinds_do_not_repeat_their_kind_and_custom_ones_do(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    server.put(widget())
    listed = ask(server, "GET", CONFIG_MAPS).json()
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in listed["items"][0]
    assert ask(server, "GET", WIDGETS).json()["items"][0]["kind"] == "Widget"


def test_pages_are_of_the_moment_of_the_first(server: ApiServer) -> None:
    first = ask(server, "GET", CONFIG_MAPS, limit=2).json()
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    server.put(config_map("d"))
    server.remove("ConfigMap", "c")
    second = ask(server, "GET", CONFIG_MAPS, limit=2, **{"continue": first["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in second["items"]] == ["c"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}


def test_a_page_of_a_moment_that_is_forgotten_is_gone(server: ApiServer) -> None:
    token = ask(server, "GET", CONFIG_MAPS, limit=1).json()["metadata"]["continue"]
    server.put(config_map("d"))
    server.compact()
    code, reason, message = refusal(ask(server, "GET", CONFIG_MAPS, limit=1, **{"continue": token}))
    assert (code, reason) == (410, "Expired")
    assert "continue parameter is too old" in message
    assert refusal(ask(server, "GET", CONFIG_MAPS, **{"continue": "x"}))[0] == 400


def test_a_list_of_a_version_is_exact_not_older_or_not_to_be_had(server: ApiServer) -> None:
    version = int(ask(server, "GET", CONFIG_MAPS).json()["metadata"]["resourceVersion"])
    server.put(config_map("d"))
    exact: dict[str, Any] = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    assert names(server, CONFIG_MAPS, **exact) == ["a", "b", "c"]
    assert names(server, CONFIG_MAPS, resourceVersion=version) == ["a", "b", "c", "d"]
    assert refusal(ask(server, "GET", CONFIG_MAPS, resourceVersion=version + 100))[:2] == (504, "Timeout")
    server.compact()
    assert refusal(ask(server, "GET", CONFIG_MAPS, **exact))[:2] == (410, "Expired")


def test_the_official_client_lists_pages(server: ApiServer) -> None:
    core = client.CoreV1Api(server.client())
    first = core.list_namespaced_config_map("default", limit=2, label_selector="")
    assert first.metadata is not None
    rest = core.list_namespaced_config_map("default", _continue=first.metadata._continue)
    found = [item.metadata.name for item in [*first.items, *rest.items] if item.metadata is not None]
    assert found == ["a", "b", "c"]
