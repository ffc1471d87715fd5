"""The nodes of a cluster that have accelerators, and the pools that they come in.

Devices are those of NVIDIA's device plugin (``nvidia.com/gpu`` and the slices ``nvidia.com/mig-...``). Devices that are
claimed through dynamic resource allocation are not in ``allocatable`` and are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cluster.kubernetes.accelerators import (
    ACCELERATOR_LABELS,
    GPU,
    MIG,
    accelerator_type,
    product_of,
)
from cluster.kubernetes.objects import Object, condition_of, labels_of, name_of, part, quantity

ZONE_LABEL = "topology.kubernetes.io/zone"
POOL_LABELS = (
    "karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
)
"""The first that a node has names its pool."""

KEEPING_OUT = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """What keeps pods from a node unless they tolerate it."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}{f'={self.value}' if self.value else ''}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node. ``allocatable`` is by resource in Kubernetes' units; a pod may come to it if ``takes_pods``."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    allocatable: Mapping[str, Decimal]
    is_ready: bool
    is_cordoned: bool

    @property
    def takes_pods(self) -> bool:
        """Whether the scheduler puts pods there."""
        return self.is_ready and not self.is_cordoned

    @property
    def devices(self) -> Mapping[str, int]:
        """The accelerators by resource."""
        return {
            name: int(amount)
            for name, amount in self.allocatable.items()
            if (name == GPU or name.startswith(MIG)) and amount >= 1
        }


@dataclass(frozen=True, slots=True)
class NodePool:
    """Nodes that are alike. ``resource`` is what their accelerators are asked for by, ``devices`` how many a node has,
    ``type`` Ray's accelerator type, ``product`` their name in the labels, and ``selector`` the label that picks them.
    ``cpus`` and ``memory`` (bytes) are what each of them has at least.
    """

    name: str
    type: str | None
    product: str | None
    resource: str
    devices: int
    nodes: tuple[str, ...]
    ready: int
    zones: tuple[str, ...]
    taints: tuple[Taint, ...]
    selector: Mapping[str, str]
    cpus: Decimal
    memory: Decimal

    @property
    def is_sliced(self) -> bool:
        """Whether its devices are MIG slices."""
        return self.resource.startswith(MIG)


def node_of(value: Object) -> Node:
    """A node as the API gives it."""
    spec = part(value, "spec")
    return Node(
        name=name_of(value),
        labels=labels_of(value),
        taints=tuple(
            Taint(each.get("key", ""), each.get("value", "") or "", each.get("effect", ""))
            for each in spec.get("taints") or ()
        ),
        allocatable={name: quantity(amount) for name, amount in part(value, "status", "allocatable").items()},
        is_ready=condition_of(value, "Ready").get("status") == "True",
        is_cordoned=bool(spec.get("unschedulable")),
    )


def node_pools(nodes: Iterable[Node]) -> tuple[NodePool, ...]:
    """The pools of the nodes that have accelerators, by name. Nodes of one named pool whose devices differ are pools
    of their own.
    """
    alike: dict[tuple[str, str | None, str, int], list[Node]] = {}
    for node in nodes:
        for resource, devices in node.devices.items():
            alike.setdefault((_pool_name(node), product_of(node.labels), resource, devices), []).append(node)
    pools = (_pool(name, resource, devices, members) for (name, _, resource, devices), members in alike.items())
    return tuple(sorted(pools, key=lambda pool: (pool.name, pool.resource, pool.devices)))


def _pool(name: str, resource: str, devices: int, members: Sequence[Node]) -> NodePool:
    labels = members[0].labels
    return NodePool(
        name=name,
        type=accelerator_type(labels),
        product=product_of(labels),
        resource=resource,
        devices=devices,
        nodes=tuple(sorted(node.name for node in members)),
        ready=sum(node.takes_pods for node in members),
        zones=tuple(sorted({node.labels[ZONE_LABEL] for node in members if ZONE_LABEL in node.labels})),
        taints=_shared_taints(members),
        selector=_selector(labels),
        cpus=min(node.allocatable.get("cpu", Decimal(0)) for node in members),
        memory=min(node.allocatable.get("memory", Decimal(0)) for node in members),
    )


def _shared_taints(members: Sequence[Node]) -> tuple[Taint, ...]:
    """What keeps pods from all of them: a taint of one node alone is its own affair."""
    shared = set(members[0].taints).intersection(*(node.taints for node in members[1:]))
    return tuple(sorted(taint for taint in shared if taint.effect in KEEPING_OUT))


def _pool_name(node: Node) -> str:
    named = next((node.labels[label] for label in POOL_LABELS if node.labels.get(label)), None)
    return named or product_of(node.labels) or "unlabelled"


def _selector(labels: Mapping[str, str]) -> Mapping[str, str]:
    """What the devices are goes first: it holds for nodes that are yet to come, in whatever pool."""
    for label in (*ACCELERATOR_LABELS, *POOL_LABELS):
        if labels.get(label):
            return {label: labels[label]}
    return {}
