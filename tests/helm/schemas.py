"""JSON Schemas of the custom resources that the chart renders, which refuse every key that they do not know."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
import yaml

from tests.helm.chart import Object
from tests.helm.documents import ROOT

KUBERAY = ROOT.parent / "shared" / "kuberay"
"""KubeRay's definitions, which are not the project's to ship."""

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}


def section(*required: str, **properties: Schema) -> Schema:
    """An object with these keys only."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def each(item: Schema) -> Schema:
    """A list with something in it."""
    return {"type": "array", "items": item, "minItems": 1}


def resource(version: str, kind: str, spec: Schema) -> Schema:
    """An object of Kubernetes."""
    metadata = section("name", name=TEXT, namespace=TEXT, labels=LABELS, annotations=LABELS)
    return section(
        "apiVersion", "kind", "metadata", "spec",
        apiVersion={"const": version}, kind={"const": kind}, metadata=metadata, spec=spec,
    )  # fmt: skip


PARENT = section("name", name=TEXT, namespace=TEXT, sectionName=TEXT, port={"type": "integer"})
BACKEND = section("name", "port", name=TEXT, port={"type": "integer"})
TIMEOUT: Schema = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
EXPRESSION = section("key", "operator", key=TEXT, operator={"enum": ["In"]}, values=each(TEXT))
INTERVAL: Schema = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
RULE = section("expr", alert=TEXT, record=TEXT, expr=TEXT, labels=LABELS, annotations=LABELS, **{"for": INTERVAL})
RULE |= {"oneOf": [{"required": ["alert"]}, {"required": ["record"]}]}

OWN: dict[str, Schema] = {
    "HTTPRoute": resource(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        section(
            "parentRefs",
            "rules",
            parentRefs=each(PARENT),
            hostnames=each(TEXT),
            rules=each(
                section(
                    matches=each(section(path=section(type={"enum": ["PathPrefix"]}, value=TEXT))),
                    timeouts=section(request=TIMEOUT, backendRequest=TIMEOUT),
                    backendRefs=each(BACKEND),
                )
            ),
        ),
    ),
    "GRPCRoute": resource(
        "gateway.networking.k8s.io/v1",
        "GRPCRoute",
        section(
            "parentRefs",
            "rules",
            parentRefs=each(PARENT),
            hostnames=each(TEXT),
            rules=each(section(backendRefs=each(BACKEND))),
        ),
    ),
    "ScrapeConfig": resource(
        "monitoring.coreos.com/v1alpha1",
        "ScrapeConfig",
        section(
            jobName=TEXT,
            metricsPath=TEXT,
            scheme={"enum": ["HTTP", "HTTPS"]},
            scrapeInterval=INTERVAL,
            authorization=section(type=TEXT, credentials=section("key", name=TEXT, key=TEXT)),
            staticConfigs=each(section("targets", targets=each(TEXT), labels=LABELS)),
        ),
    ),
    "PodMonitor": resource(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        section(
            "selector",
            "podMetricsEndpoints",
            jobLabel=TEXT,
            podTargetLabels=each(TEXT),
            selector=section(matchLabels=LABELS, matchExpressions=each(EXPRESSION)),
            podMetricsEndpoints=each(section(port=TEXT, path=TEXT, scheme={"enum": ["http"]}, interval=INTERVAL)),
        ),
    ),
    "PrometheusRule": resource(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        section(groups=each(section("name", name=TEXT, rules=each(RULE)))),
    ),
}
"""Of what their makers define as custom resources the part that the chart uses; tests/helm/test_valid_objects.py holds
those of the Prometheus operator against all of it.
"""


@cache
def validator_of(kind: str) -> jsonschema_rs.Draft7Validator:
    """The validator for a custom resource."""
    if kind in OWN:
        return jsonschema_rs.Draft7Validator(OWN[kind])
    return jsonschema_rs.Draft7Validator(_defined(f"ray.io_{kind.lower()}s"))


def faults(each: Object) -> list[str]:
    """What is wrong with a custom resource, each with its path."""
    errors = validator_of(each["kind"]).iter_errors(each)
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


def _defined(file: str) -> Schema:
    text = (KUBERAY / f"{file}.yaml").read_text()
    versions = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"]
    [schema] = [each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1"]
    strict = _strict(schema)
    assert isinstance(strict, dict)
    return strict


def _strict(schema: Any) -> Any:
    """A schema of a definition as plain JSON Schema, in which unknown keys are refused, not dropped."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept = {key: _strict(value) for key, value in schema.items() if not key.startswith("x-") and key != "properties"}
    properties = schema.get("properties")
    if properties is not None:
        kept["properties"] = {name: _strict(value) for name, value in properties.items()}
        if "additionalProperties" not in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
        kept["required"] = [name for name in schema.get("required", []) if "default" not in properties[name]]
    if kept.pop("nullable", False):
        return {"anyOf": [kept, {"type": "null"}]}
    return kept
