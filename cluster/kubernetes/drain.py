"""A node emptied of the pods of a release, so that no request is lost: one pod at a time, each through the eviction
API, which keeps to the disruption budgets, and the next when the one before has been replaced.

What to do is decided here, from what is seen; :mod:`cluster.kubernetes.draining` does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cluster.kubernetes.pods import Pod


@dataclass(frozen=True, slots=True)
class Evict:
    """Ask for the eviction of this pod."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done until something changes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drained:
    """No pod of the release is left on the node, and none is missing elsewhere."""


@dataclass(frozen=True, slots=True)
class Drain:
    """The draining of ``node``. ``wanted`` is how many ready pods each group of each Ray cluster had when it began."""

    node: str
    wanted: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, node: str, pods: Iterable[Pod]) -> Drain:
        """A draining that begins with these pods."""
        return cls(node, Counter((pod.cluster, pod.group) for pod in pods if pod.is_ready and pod.is_alive))

    def next(self, pods: Sequence[Pod], desired: Mapping[tuple[str, str], int]) -> Evict | Wait | Drained:
        """What to do now. ``desired`` is what the autoscaler wants of each group; with fewer than there were, fewer are
        waited for. Workers go first, then heads, then what is of no Ray cluster, as servers of state.
        """
        here = [pod for pod in pods if pod.node == self.node and pod.phase not in ("Succeeded", "Failed")]
        leaving = [pod for pod in here if pod.is_leaving]
        if leaving:
            return Wait(f"{leaving[0].name} finishes its work")
        missing = self._missing(pods, desired)
        if missing is not None:
            return Wait(missing)
        if not here:
            return Drained()
        return Evict(min(here, key=lambda pod: (not pod.cluster, pod.is_head, pod.is_ready, pod.name)))

    def _missing(self, pods: Sequence[Pod], desired: Mapping[tuple[str, str], int]) -> str | None:
        ready = Counter((pod.cluster, pod.group) for pod in pods if pod.is_ready and pod.is_alive)
        clusters = {pod.cluster for pod in pods}
        for place, wanted in sorted(self.wanted.items()):
            least = min(wanted, desired.get(place, wanted))
            # A Ray cluster whose pods are all gone was taken down, as at the end of an upgrade.
            if place[0] in clusters and ready[place] < least:
                return f"the group {place[1]} has {ready[place]} of {least} pods ready"
        return None
