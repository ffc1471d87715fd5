"""What nodes and quotas leave to further pods, as they are handed out one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cluster.kubernetes.node_pools import KEEPING_OUT, Node
from cluster.kubernetes.pods import Pod
from cluster.kubernetes.quotas import Quota, claims
from cluster.kubernetes.ray_service import WorkerGroup


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cluster has for us: its ``nodes`` (``None``: more can be had, so they bound nothing), the ``quotas`` of
    the namespace, the ``pods`` of the Ray cluster, and the groups that are ``short`` of nodes.
    """

    nodes: tuple[Node, ...] | None
    quotas: tuple[Quota, ...]
    pods: tuple[Pod, ...]
    short: frozenset[str] = frozenset()


class Room:
    """Hands out pods. Those that have a node come first and are free of charge; those that exist and wait for a node
    are in the quotas' counts already; what is beyond needs both a node and a quota that has room.
    """

    def __init__(self, around: Surroundings, groups: Sequence[WorkerGroup], most: Mapping[str, int]) -> None:
        alive = [pod for pod in around.pods if pod.is_alive]
        # A node that is only not heard of may still serve: what runs there is not given up before the node is.
        known = None if around.nodes is None else {node.name for node in around.nodes}
        seated = [pod for pod in alive if pod.node is not None and (known is None or pod.node in known)]
        self.placed = Counter(pod.group for pod in seated)
        self.opened: Counter[str] = Counter()
        self._existing = Counter(pod.group for pod in alive)
        self._most = most
        self._short = around.short
        self._nodes = around.nodes
        self._free = _free_devices(around.nodes or (), groups, seated)
        self._left = [(quota, dict(quota.left)) for quota in around.quotas]

    def open(self, group: WorkerGroup) -> str | None:
        """Hand out one more pod of the group, or say why there is none."""
        number = self.opened[group.name]
        if number >= self._most[group.name]:
            return f"the values allow {self._most[group.name]} pods"
        if number >= self.placed[group.name]:
            is_new = number >= self._existing[group.name]
            refusal = self._refusal(group, is_new)
            if refusal is not None:
                return refusal
            self._take(group, is_new)
        self.opened[group.name] += 1
        return None

    def _refusal(self, group: WorkerGroup, is_new: bool) -> str | None:
        if group.name in self._short:
            return "its pods have waited for nodes in vain"
        if self._bounded_by_nodes(group) and self._node(group) is None:
            return f"no node that it may run on has {group.devices} {group.resource} left"
        if is_new:
            return next(filter(None, (_exhausted(quota, left, group) for quota, left in self._left)), None)
        return None

    def _take(self, group: WorkerGroup, is_new: bool) -> None:
        node = self._node(group) if self._bounded_by_nodes(group) else None
        if node is not None and group.resource is not None:
            self._free[node.name, group.resource] -= group.devices
        for quota, left in self._left if is_new else ():
            if quota.counts(group):
                for name, amount in claims(group):
                    if name in left:
                        left[name] -= amount

    def _bounded_by_nodes(self, group: WorkerGroup) -> bool:
        """CPUs and memory are shared with pods that are none of ours, so only devices are counted."""
        return self._nodes is not None and group.resource is not None

    def _node(self, group: WorkerGroup) -> Node | None:
        """The fitting node with the fewest devices left, so that large pods still find a whole one."""
        fitting = [
            node
            for node in self._nodes or ()
            if may_run_on(group, node) and self._free.get((node.name, group.resource or ""), 0) >= group.devices
        ]
        return min(fitting, key=lambda node: (self._free[node.name, group.resource or ""], node.name), default=None)


def may_run_on(group: WorkerGroup, node: Node) -> bool:
    """Whether the scheduler may put a pod of the group on the node, if it has room. Affinities are not looked at."""
    return (
        node.takes_pods
        and all(node.labels.get(label) == value for label, value in group.selector.items())
        and all(
            any(toleration.covers(taint.key, taint.value, taint.effect) for toleration in group.tolerations)
            for taint in node.taints
            if taint.effect in KEEPING_OUT
        )
    )


def _free_devices(
    nodes: Sequence[Node], groups: Sequence[WorkerGroup], pods: Sequence[Pod]
) -> dict[tuple[str, str], int]:
    """By node and resource, what the pods of the groups leave. What other pods hold is not known."""
    free = {(node.name, resource): devices for node in nodes for resource, devices in node.devices.items()}
    by_name = {group.name: group for group in groups}
    for pod in pods:
        group = by_name.get(pod.group)
        if group is not None and (pod.node, group.resource) in free:
            free[pod.node or "", group.resource or ""] -= group.devices
    return free


def _exhausted(quota: Quota, left: Mapping[str, Decimal], group: WorkerGroup) -> str | None:
    if not quota.counts(group):
        return None
    lacking = [name for name, amount in claims(group) if name in left and left[name] < amount]
    return f"the quota {quota.name} leaves too little {' and '.join(lacking)}" if lacking else None
