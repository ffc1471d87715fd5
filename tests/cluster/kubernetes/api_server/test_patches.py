"""The forms of patches, and what each resource takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.kubernetes.api_server.patches import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    MalformedPatchError,
    PatchError,
    json_patch,
    merge_patch,
)
from tests.cluster.kubernetes.api_server.plant import (
    CONFIG_MAPS,
    PODS,
    WIDGET_DEFINITION,
    WIDGETS,
    ask,
    config_map,
    pod,
    refusal,
    widget,
)
from tests.cluster.kubernetes.api_server.server import ApiServer

DOCUMENT = {"a": [1, 2, 3], "b": {"c/d": {"e~f": None}}, "g": "h"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/a/1", "value": 9}, {**DOCUMENT, "a": [1, 9, 2, 3]}),
        ({"op": "add", "path": "/a/-", "value": 9}, {**DOCUMENT, "a": [1, 2, 3, 9]}),
        ({"op": "add", "path": "/a/3", "value": 9}, {**DOCUMENT, "a": [1, 2, 3, 9]}),
        ({"op": "add", "path": "/n", "value": {}}, {**DOCUMENT, "n": {}}),
        ({"op": "remove", "path": "/a/0"}, {**DOCUMENT, "a": [2, 3]}),
        ({"op": "remove", "path": "/b/c~1d/e~0f"}, {**DOCUMENT, "b": {"c/d": {}}}),
        ({"op": "replace", "path": "/a/2", "value": 9}, {**DOCUMENT, "a": [1, 2, 9]}),
        ({"op": "replace", "path": "/g", "value": 9}, {**DOCUMENT, "g": 9}),
        ({"op": "replace", "path": "", "value": 9}, 9),
        ({"op": "move", "from": "/a/0", "path": "/a/2"}, {**DOCUMENT, "a": [2, 3, 1]}),
        ({"op": "copy", "from": "/g", "path": "/a/0"}, {**DOCUMENT, "a": ["h", 1, 2, 3]}),
        ({"op": "test", "path": "/b/c~1d", "value": {"e~f": None}}, DOCUMENT),
    ],
)
def test_an_operation_does_what_rfc_6902_says(operation: dict[str, Any], expected: Any) -> None:
    assert json_patch(DOCUMENT, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/g", "value": "i"},
        {"op": "test", "path": "/missing", "value": None},
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/missing/x", "value": 1},
        {"op": "add", "path": "/a/4", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "add", "path": "/g/x", "value": 1},
        {"op": "move", "from": "/missing", "path": "/x"},
    ],
)
def test_an_operation_that_does_not_fit_fails(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        json_patch(DOCUMENT, [operation])


@pytest.mark.parametrize(
    "patch", [{}, [{"path": "/a"}], [{"op": "add", "path": "a", "value": 1}], [{"op": "put", "path": "/a"}]]
)
def test_what_is_no_json_patch_is_refused(patch: Any) -> None:
    with pytest.raises(MalformedPatchError):
        json_patch(DOCUMENT, patch)


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_table_of_rfc_7386_says(document: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(document, patch) == expected


@settings(max_examples=30, deadline=None)
@given(JSON, JSON)
def test_a_merge_patch_is_idempotent_and_leaves_its_document(document: Any, patch: Any) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once


def test_a_json_patch_applies_wholly_or_not_at_all(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    ask(server, "POST", WIDGETS, widget(parts=[{"name": "a"}, {"name": "b"}]))
    failing = [
        {"op": "replace", "path": "/spec/size", "value": 5},
        {"op": "test", "path": "/spec/parts/1/name", "value": "c"},
    ]
    response = ask(server, "PATCH", f"{WIDGETS}/w", failing, kind=JSON_PATCH)
    assert refusal(response) == (422, "Invalid", "the server rejected our request due to an error in our request")
    assert server.read("Widget", "w")["spec"]["size"] == 1
    passing = [{"op": "test", "path": "/spec/parts/1/name", "value": "b"}, failing[0]]
    assert ask(server, "PATCH", f"{WIDGETS}/w", passing, kind=JSON_PATCH).json()["spec"]["size"] == 5


def test_a_merge_patch_replaces_lists_and_a_strategic_one_merges_them_by_key(server: ApiServer) -> None:
    container = {"name": "second", "image": "registry.example/second:1"}
    for name, kind, expected in (("m", MERGE_PATCH, ["second"]), ("s", STRATEGIC_PATCH, ["main", "second"])):
        ask(server, "POST", PODS, pod(name))
        patched = ask(server, "PATCH", f"{PODS}/{name}", {"spec": {"containers": [container]}}, kind=kind).json()
        assert sorted(item["name"] for item in patched["spec"]["containers"]) == expected


def test_the_directives_of_strategic_patches(server: ApiServer) -> None:
    ask(server, "POST", PODS, pod("p"))
    path = f"{PODS}/p"

    def patched(patch: Any) -> Any:
        return ask(server, "PATCH", path, patch, kind=STRATEGIC_PATCH).json()

    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    patched({"spec": {"containers": [{"name": "main", "env": env}]}})
    delete = {"name": "A", "$patch": "delete"}
    containers = patched({"spec": {"containers": [{"name": "main", "env": [delete]}]}})["spec"]["containers"]
    assert containers == [{"name": "main", "image": "registry.example/main:1", "env": [{"name": "B", "value": "2"}]}]
    finalizers = patched({"metadata": {"finalizers": ["x/a"]}})["metadata"]["finalizers"]
    assert finalizers == ["x/a"]
    added = patched({"metadata": {"finalizers": ["x/b"]}})["metadata"]["finalizers"]
    assert added == ["x/a", "x/b"]
    removed = patched({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}})["metadata"]["finalizers"]
    assert removed == ["x/b"]
    replaced = patched({"metadata": {"labels": {"$patch": "replace", "only": "this"}}})["metadata"]["labels"]
    assert replaced == {"only": "this"}
    unkeyed = ask(server, "PATCH", path, {"spec": {"containers": [{"image": "x"}]}}, kind=STRATEGIC_PATCH)
    assert unkeyed.status == 422


def test_a_custom_object_takes_no_strategic_patch_and_nothing_takes_an_apply_patch(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    ask(server, "POST", WIDGETS, widget())
    code, reason, message = refusal(ask(server, "PATCH", f"{WIDGETS}/w", {}, kind=STRATEGIC_PATCH))
    assert (code, reason) == (415, "UnsupportedMediaType")
    assert message.endswith("application/json-patch+json, application/merge-patch+json")
    assert ask(server, "PATCH", f"{PODS}/p", {}, kind="application/apply-patch+yaml").status == 415


def test_a_patch_that_names_an_older_version_is_a_conflict(server: ApiServer) -> None:
    made = ask(server, "POST", CONFIG_MAPS, config_map("c")).json()["metadata"]["resourceVersion"]
    path, change = f"{CONFIG_MAPS}/c", {"data": {"a": "1"}}
    assert ask(server, "PATCH", path, change, kind=MERGE_PATCH).status == 200
    stale = {"metadata": {"resourceVersion": made}, "data": {"a": "2"}}
    assert refusal(ask(server, "PATCH", path, stale, kind=MERGE_PATCH))[:2] == (409, "Conflict")


def test_a_patch_is_checked_by_the_schema_and_tried_if_asked(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    ask(server, "POST", WIDGETS, widget())
    path = f"{WIDGETS}/w"
    assert ask(server, "PATCH", path, {"spec": {"size": 0}}, kind=MERGE_PATCH).status == 422
    tried = ask(server, "PATCH", path, {"spec": {"size": 4}}, kind=MERGE_PATCH, dryRun="All").json()
    assert tried["spec"]["size"] == 4
    assert server.read("Widget", "w")["spec"]["size"] == 1


def test_a_status_is_patched_through_its_subresource(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)
    ask(server, "POST", WIDGETS, widget())
    both = {"spec": {"size": 4}, "status": {"ready": True}}
    ask(server, "PATCH", f"{WIDGETS}/w/status", both, kind=MERGE_PATCH)
    stored = server.read("Widget", "w")
    assert (stored["spec"]["size"], stored["status"]) == (1, {"ready": True})
