"""What is wrong with an object, which fields are unknown, and which have defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.kubernetes.api_server.plant import (
    LEASES,
    PODS,
    WIDGET_DEFINITION,
    WIDGETS,
    ask,
    pod,
    refusal,
    widget,
)
from tests.cluster.kubernetes.api_server.server import ApiServer

KUBERAY = Path("/work/shared/kuberay")
RAY_SERVICES = "/apis/ray.io/v1/namespaces/default/rayservices"


@pytest.fixture(autouse=True)
def widgets(server: ApiServer) -> None:
    server.define(WIDGET_DEFINITION)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"size": 0}, "spec.size: Invalid value: 0"),
        ({"size": 2**31}, "spec.size: Invalid value"),
        ({"size": "1"}, 'spec.size in body must be of type integer: "string"'),
        ({"size": True}, 'spec.size in body must be of type integer: "boolean"'),
        ({"mode": "odd"}, 'spec.mode: Unsupported value: "odd": supported values: "fast", "slow"'),
        ({"mode": None, "size": None}, 'spec.size in body must be of type integer: "null"'),
        ({"parts": [{"name": 1}]}, "spec.parts[0].name"),
        ({"parts": {}}, 'spec.parts in body must be of type array: "object"'),
        ({"tags": {"a": 1}}, "spec.tags.a"),
        ({"port": 1.5}, "spec.port"),
    ],
)
def test_a_custom_object_that_its_schema_refuses_is_invalid(server: ApiServer, spec: dict[str, Any], told: str) -> None:
    code, reason, message = refusal(ask(server, "POST", WIDGETS, widget(**spec)))
    assert (code, reason) == (422, "Invalid")
    assert message.startswith('Widget.example.com "w" is invalid: ')
    assert told in message


def test_a_missing_field_is_named(server: ApiServer) -> None:
    response = ask(server, "POST", WIDGETS, {"metadata": {"name": "w"}, "spec": {}})
    assert refusal(response)[2] == 'Widget.example.com "w" is invalid: spec.size: Required value'
    assert response.json()["details"]["causes"] == [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.size"}
    ]


def test_defaults_are_filled_in_and_free_fields_kept(server: ApiServer) -> None:
    body = widget(port="80", anything={"x": {"y": 1}}, tags={"a": "b"}, mode=None)
    spec = ask(server, "POST", WIDGETS, body).json()["spec"]
    assert spec == {"size": 1, "mode": "slow", "port": "80", "anything": {"x": {"y": 1}}, "tags": {"a": "b"}}


def test_unknown_fields_are_dropped_told_or_refused_as_asked(server: ApiServer) -> None:
    body = widget(odd=1, parts=[{"name": "a", "extra": 2}])
    warned = ask(server, "POST", WIDGETS, body)
    assert warned.json()["spec"] == {"size": 1, "mode": "slow", "parts": [{"name": "a"}]}
    assert warned.headers["Warning"] == (
        '299 - "unknown field \\"spec.odd\\"", 299 - "unknown field \\"spec.parts[0].extra\\""'
    )
    silent = ask(server, "POST", WIDGETS, {**body, "metadata": {"name": "v"}}, fieldValidation="Ignore")
    assert "Warning" not in silent.headers
    strict = ask(server, "POST", WIDGETS, {**body, "metadata": {"name": "u"}}, fieldValidation="Strict")
    assert refusal(strict)[:2] == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.odd"' in refusal(strict)[2]
    assert refusal(ask(server, "POST", WIDGETS, body, fieldValidation="Odd"))[0] == 400


def test_a_built_in_object_of_wrong_types_cannot_be_read_and_one_of_wrong_values_is_invalid(server: ApiServer) -> None:
    wrong_type = pod("p")
    wrong_type["spec"]["containers"] = "main"
    assert refusal(ask(server, "POST", PODS, wrong_type))[:2] == (400, "BadRequest")
    nameless = pod("p")
    del nameless["spec"]["containers"][0]["name"]
    code, reason, message = refusal(ask(server, "POST", PODS, nameless))
    assert (code, reason) == (422, "Invalid")
    assert "spec.containers[0].name: Required value" in message


def test_nulls_of_built_in_objects_are_no_values(server: ApiServer) -> None:
    body = pod("p")
    body["spec"]["nodeName"] = None
    assert "nodeName" not in ask(server, "POST", PODS, body).json()["spec"]


@pytest.mark.parametrize(
    ("moment", "code"),
    [("2026-11-22T12:00:00.000000Z", 201), ("2026-11-22T12:00:00Z", 400), ("2026-11-22T12:00:00.5Z", 400)],
)
def test_a_lease_takes_times_with_six_digits_only(server: ApiServer, moment: str, code: int) -> None:
    body = {"metadata": {"name": "l"}, "spec": {"renewTime": moment}}
    assert ask(server, "POST", LEASES, body).status == code


def test_a_secret_takes_base64_and_turns_text_into_it(server: ApiServer) -> None:
    path = "/api/v1/namespaces/default/secrets"
    assert ask(server, "POST", path, {"metadata": {"name": "s"}, "data": {"a": "?"}}).status == 400
    made = ask(server, "POST", path, {"metadata": {"name": "s"}, "stringData": {"a": "key"}}).json()
    assert (made["data"], made["type"]) == ({"a": "a2V5"}, "Opaque")
    assert "stringData" not in made


def test_a_definition_that_is_made_is_served_and_its_removal_ends_that(server: ApiServer) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    other = yaml.safe_load(yaml.safe_dump(WIDGET_DEFINITION).replace("widget", "gadget").replace("Widget", "Gadget"))
    gadgets = WIDGETS.replace("widgets", "gadgets")
    assert ask(server, "GET", gadgets).status == 404
    made = ask(server, "POST", definitions, other).json()
    assert {item["type"]: item["status"] for item in made["status"]["conditions"]}["Established"] == "True"
    assert ask(server, "GET", gadgets).json()["kind"] == "GadgetList"
    ask(server, "DELETE", f"{definitions}/gadgets.example.com")
    assert ask(server, "GET", gadgets).status == 404


@pytest.mark.skipif(not KUBERAY.exists(), reason=f"{KUBERAY} is not there")
def test_the_definitions_of_kuberay_are_understood(server: ApiServer) -> None:
    server.define(yaml.load((KUBERAY / "ray.io_rayservices.yaml").read_text(), yaml.CSafeLoader))
    template = {"spec": {"containers": [{"name": "head", "image": "i", "resources": {"limits": {"cpu": 1}}}]}}
    head = {"rayStartParams": {}, "template": template}
    spec: dict[str, Any] = {"serveConfigV2": "", "rayClusterConfig": {"headGroupSpec": head, "workerGroupSpecs": []}}
    body = {"metadata": {"name": "r"}, "spec": spec}
    assert ask(server, "POST", RAY_SERVICES, body, fieldValidation="Strict").status == 201
    spec["rayClusterConfig"]["workerGroupSpecs"] = [{"groupName": "g", "minReplica": 1}]
    assert (
        'unknown field "spec.rayClusterConfig.workerGroupSpecs[0].minReplica"'
        in refusal(ask(server, "POST", RAY_SERVICES, body, fieldValidation="Strict"))[2]
    )
    del spec["rayClusterConfig"]["headGroupSpec"]
    assert "spec.rayClusterConfig.headGroupSpec: Required value" in refusal(ask(server, "POST", RAY_SERVICES, body))[2]
