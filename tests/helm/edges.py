"""NetworkPolicies as edges: who may connect to whom, and at which port."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Object, every, pod_templates

COMPONENT = "app.kubernetes.io/component"
EVERY_PORT = 0
OUTSIDE = ("clients", "operators", "prometheus", "kuberay", "dns", "redis", "traces", "apiServer", "weights")
"""Who is not of the release, by the key of ``networkPolicy`` with its peers."""


@dataclass(frozen=True, order=True, slots=True)
class Edge:
    """``source`` may open connections to ``port`` of ``target``; each is a component or one of :data:`OUTSIDE`."""

    source: str
    target: str
    port: int


def outsiders() -> dict[str, str]:
    """Values in which no two of :data:`OUTSIDE` have the same peers."""
    return {f"networkPolicy__{name}": json.dumps([peer_of(name)]) for name in OUTSIDE}


def peer_of(name: str) -> Object:
    """The peer that stands for one of :data:`OUTSIDE`."""
    return {"ipBlock": {"cidr": f"192.0.2.{OUTSIDE.index(name)}/32"}}


def labels_of_pods(objects: list[Object]) -> dict[str, dict[str, str]]:
    """The labels of the release's pods by component."""
    templates = (template["metadata"]["labels"] for _, template in pod_templates(objects))
    return {labels[COMPONENT]: labels for labels in templates}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a selector of Kubernetes takes a pod with ``labels``."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


def let_in(objects: list[Object]) -> set[Edge]:
    """What the ingress rules let through."""
    return {Edge(other, own, port) for own, other, port in _rules(objects, "ingress", "from")}


def let_out(objects: list[Object]) -> set[Edge]:
    """What the egress rules let through."""
    return {Edge(own, other, port) for own, other, port in _rules(objects, "egress", "to")}


def within(edges: set[Edge]) -> set[Edge]:
    """Those between pods of the release."""
    return {edge for edge in edges if not {edge.source, edge.target} & set(OUTSIDE)}


def _rules(objects: list[Object], direction: str, way: str) -> Iterator[tuple[str, str, int]]:
    pods = labels_of_pods(objects)
    for policy in every(objects, "NetworkPolicy"):
        spec = policy["spec"]
        selected = [component for component, labels in pods.items() if selects(spec["podSelector"], labels)]
        for rule in spec.get(direction, []):
            # A rule without peers would let everybody through.
            others = [name for peer in rule[way] for name in _named(peer, pods)]
            ports = {port["port"] for port in rule.get("ports", [{"port": EVERY_PORT}])}
            yield from ((own, other, port) for own in selected for other in others for port in ports)


def _named(peer: Any, pods: dict[str, dict[str, str]]) -> list[str]:
    if peer.keys() == {"podSelector"}:
        return [component for component, labels in pods.items() if selects(peer["podSelector"], labels)]
    return [name for name in OUTSIDE if peer == peer_of(name)]
