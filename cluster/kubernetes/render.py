"""Values for the chart, from a configuration and the node pools of a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any

from cluster.kubernetes.accelerators import GPU
from cluster.kubernetes.charted import Tree, written
from cluster.kubernetes.demand import Demand, demands
from cluster.kubernetes.node_pools import NodePool, Taint
from cluster.kubernetes.selectors import TYPE_LABEL, selects
from deployments.config import ClusterConfig

POOL_LABEL = "dllm/pool"
FIRST = re.compile(r"(?:in\()?([^!(),]+)[^!]*")
GROUP_LENGTH = 30

SHARE = Decimal("0.9")
"""What a node has for our pods beside those that run on every node."""

GIB = 1 << 30
CPU_GROUP, CPUS, GIB_PER_CPU = "cpu", 2, 2


class RenderError(ValueError):
    """The nodes do not have what a pool asks for."""


@dataclass(slots=True)
class Group:
    """A worker group in the making: the node pool that it runs on (``None``: any nodes), the pools that it may hold,
    and those whose ``replicas`` it has room for from the start.
    """

    labels: Mapping[str, str]
    node_pool: NodePool | None
    held: list[Demand] = field(default_factory=list)
    always: list[Demand] = field(default_factory=list)

    @property
    def gpus(self) -> int:
        """The accelerators of a pod: what the largest replica takes."""
        return max((ceil(pool.gpus) for pool in self.held), default=0)

    @property
    def cpus(self) -> int:
        """The CPUs of a pod: its part of the node, or what the largest replica takes."""
        wanted = max(ceil(pool.cpus * self._by_gpus(pool)) for pool in self.held)
        if self.node_pool is None:
            return max(wanted, CPUS)
        return max(wanted, int(self.node_pool.cpus * SHARE * self.gpus / self.node_pool.devices))

    @property
    def memory(self) -> int:
        """GiB of a pod."""
        if self.node_pool is None:
            return self.cpus * GIB_PER_CPU
        return max(1, int(self.node_pool.memory * SHARE * self.gpus / self.node_pool.devices / GIB))

    def pods(self, pool: Demand, replicas: int) -> int:
        """How many pods hold so many replicas."""
        by_cpus = int(self.cpus / pool.cpus) if pool.cpus else replicas
        slots = min(self._by_gpus(pool), by_cpus) if pool.gpus else by_cpus
        return ceil(replicas / max(slots, 1)) if replicas else 0

    def values(self) -> Tree:
        """The group as ``workers`` has it."""
        memory = f"{self.memory}Gi"
        amounts = {"cpu": self.cpus, "memory": memory}
        tree: Tree = {
            "minReplicas": sum(self.pods(pool, pool.least) for pool in self.always),
            "maxReplicas": max(1, sum(self.pods(pool, pool.most) for pool in self.held)),
            "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        }
        if self.labels:
            tree["labels"] = dict(self.labels)
        return tree if self.node_pool is None else {**tree, **self._placement(self.node_pool)}

    def _placement(self, node_pool: NodePool) -> Tree:
        tree: Tree = {"gpus": self.gpus, "nodeSelector": dict(node_pool.selector)}
        if node_pool.type is not None:
            tree["accelerator"] = node_pool.type
        if node_pool.resource != GPU:
            tree["gpuResource"] = node_pool.resource
        if node_pool.taints:
            tree["tolerations"] = [_toleration(taint) for taint in node_pool.taints]
        return tree

    def _by_gpus(self, pool: Demand) -> int:
        if pool.gpus == 0:
            return 1
        return self.gpus * int(1 / pool.gpus) if pool.gpus < 1 else max(1, int(self.gpus / pool.gpus))


@dataclass(frozen=True, slots=True)
class Rendered:
    """The values, and what is to be known about them."""

    values: Tree
    notes: tuple[str, ...]


def render(config: ClusterConfig, node_pools: Sequence[NodePool]) -> Rendered:
    """Values with which the chart serves ``config`` on these nodes. Raises :class:`RenderError`, and
    :class:`~deployments.document.ConfigError` for secrets of tenants.
    """
    tree, left_out = written(config)
    gateway_cpus = max(1, ceil(config.gateway.cpus))
    tree["gateway"] = {
        **tree.get("gateway", {}),
        "replicas": config.gateway.replicas,
        "cpus": float(gateway_cpus),
    }
    tree.setdefault("models", config.model_dump(mode="json", exclude_defaults=True, include={"models"}).get("models"))
    if tree["models"] is None:
        tree["models"] = [{"id": model.id, "checkpoint": model.checkpoint} for model in config.models]
    groups: dict[str, Group] = {}
    for pool in demands(config):
        _give(groups, pool, _choices(pool, node_pools))
    workers: Tree = {name: group.values() for name, group in groups.items()}
    # The chart has a group of this name by default, which null takes away.
    workers.setdefault(CPU_GROUP, None)
    values = {"config": tree, "gateways": _gateways(config.gateway.replicas, gateway_cpus), "workers": workers}
    notes = [f"{key}: left out, since the chart says it" for key in left_out]
    if gateway_cpus != config.gateway.cpus:
        notes.append(f"gateway.cpus: {gateway_cpus}, since each gateway has a pod with whole processors")
    return Rendered(values, (*notes, *_notes(groups)))


def _choices(pool: Demand, node_pools: Sequence[NodePool]) -> list[NodePool | None]:
    """Where the pool may run: the node pools with most room first."""
    if pool.gpus == 0:
        return [None]
    wanted = {TYPE_LABEL: pool.selector[TYPE_LABEL]} if TYPE_LABEL in pool.selector else {}
    typed = [each for each in node_pools if selects(wanted, {TYPE_LABEL: each.type} if each.type else {})]
    # A group is of one accelerator type, and of one resource; further node pools like it are covered by its selector.
    found: dict[tuple[str | None, str], NodePool] = {}
    for each in sorted(typed, key=lambda each: (-each.ready * each.devices, each.name)):
        if pool.gpus <= each.devices:
            found.setdefault((each.type, each.resource), each)
    if not found:
        raise RenderError(f"pool {pool.pool}: no node has {_wanted(pool)}; the cluster has {_had(node_pools)}")
    return list(found.values())


def _give(groups: dict[str, Group], pool: Demand, choices: Sequence[NodePool | None]) -> None:
    """Put the pool into a group on each of its choices; what it always needs is on the first."""
    met = {label: match[1] for label, value in pool.selector.items() if (match := FIRST.fullmatch(value))}
    labels = {label: value for label, value in met.items() if label not in (POOL_LABEL, TYPE_LABEL)}
    for index, node_pool in enumerate(choices):
        name = _name(groups, met.get(POOL_LABEL) or _called(node_pool), labels, node_pool)
        offered = {**labels, POOL_LABEL: name}
        if node_pool is not None and node_pool.type is not None:
            offered[TYPE_LABEL] = node_pool.type
        if not selects(pool.selector, offered):
            raise RenderError(f"pool {pool.pool}: its labels ask for what no group is rendered with; write it by hand")
        group = groups.setdefault(name, Group(labels, node_pool))
        group.held.append(pool)
        if index == 0:
            group.always.append(pool)


def _name(groups: Mapping[str, Group], wanted: str, labels: Mapping[str, str], node_pool: NodePool | None) -> str:
    """The name of the group like this, or one that is not taken."""
    stem = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-")[: GROUP_LENGTH - 3] or CPU_GROUP
    stem = stem if stem[0].isalpha() else f"g{stem}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(groups) + 2))
    return next(
        name
        for name in names
        if name not in groups or (groups[name].labels == labels and groups[name].node_pool == node_pool)
    )


def _called(node_pool: NodePool | None) -> str:
    if node_pool is None:
        return CPU_GROUP
    kind = node_pool.type or node_pool.name
    return f"{kind}-{node_pool.resource.rpartition('/')[2]}" if node_pool.is_sliced else kind


def _gateways(replicas: int, cpus: int) -> Tree:
    """A pod for each gateway. Beside it runs the proxy of its node."""
    return {
        "replicas": replicas,
        "resources": {
            "requests": {"cpu": cpus, "memory": f"{2 * cpus}Gi"},
            "limits": {"cpu": cpus + 1, "memory": f"{3 * cpus}Gi"},
        },
    }


def _notes(groups: Mapping[str, Group]) -> Iterator[str]:
    for name, group in groups.items():
        most = group.values()["maxReplicas"]
        if group.node_pool is not None:
            held = group.node_pool.ready * (group.node_pool.devices // group.gpus)
            if held < most:
                yield f"{name}: up to {most} pods, of which the nodes that there are hold {held}"


def _toleration(taint: Taint) -> dict[str, Any]:
    if not taint.value:
        return {"key": taint.key, "operator": "Exists", "effect": taint.effect}
    return {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}


def _wanted(pool: Demand) -> str:
    kind = pool.selector.get(TYPE_LABEL)
    return f"{float(pool.gpus):g} {kind or 'GPU'}"


def _had(node_pools: Sequence[NodePool]) -> str:
    had = sorted({f"{each.devices} {each.type or each.product or 'unnamed'} a node" for each in node_pools})
    return ", ".join(had) or "no GPUs that its nodes tell of"
