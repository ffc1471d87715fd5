"""Objects for the server's own tests, and requests as they go over the wire."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import urllib3

from tests.cluster.kubernetes.api_server.resources import Document
from tests.cluster.kubernetes.api_server.server import ApiServer

PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"

WIDGET_DEFINITION: Document = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "required": ["size", "mode"],
                                "properties": {
                                    "size": {"type": "integer", "minimum": 1, "format": "int32"},
                                    "mode": {"type": "string", "enum": ["fast", "slow"], "default": "slow"},
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "parts": {
                                        "type": "array",
                                        "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                                    },
                                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                                },
                            },
                            "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
                        },
                    }
                },
            }
        ],
    },
}


def widget(name: str = "w", **spec: Any) -> Document:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1, **spec}}


def config_map(name: str, data: dict[str, str] | None = None, **labels: str) -> Document:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {}}


def pod(name: str, node: str | None = None, **labels: str) -> Document:
    spec: Document = {"containers": [{"name": "main", "image": "registry.example/main:1"}]}
    if node is not None:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def running(name: str, *, ready: bool = True, **labels: str) -> Document:
    """A pod that runs on a node."""
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-11-22T12:00:00Z"}
    return {**pod(name, "node", **labels), "status": {"phase": "Running", "conditions": [condition]}}


def ask(
    server: ApiServer,
    method: str,
    path: str,
    body: Any = None,
    *,
    kind: str = "application/json",
    token: str | None = None,
    **query: str | int,
) -> urllib3.BaseHTTPResponse:
    """One request over the wire."""
    headers = {} if body is None else {"Content-Type": kind}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = f"{server.url}{path}?{urlencode(query)}"
    return urllib3.request(method, url, body=None if body is None else json.dumps(body), headers=headers, retries=False)


def refusal(response: urllib3.BaseHTTPResponse) -> tuple[int, str, str]:
    """The code, the reason and the message of a refusal, whose body is a Status that agrees with it."""
    body = response.json()
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure")
    assert body["code"] == response.status
    return body["code"], body.get("reason", ""), body["message"]
