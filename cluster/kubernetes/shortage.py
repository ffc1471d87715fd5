"""Which worker groups cannot get the pods that they were asked for.

Ray's autoscaler does not give up on a group: as long as a pod of it is pending, the replica behind it waits, though
nodes of another group are free. So a group is held to be short when a pod of it has waited for a node for ``patience``
seconds, and for ``hold`` seconds after that was last seen; then it is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.kubernetes.pods import Pod


@dataclass(frozen=True, slots=True)
class Shortage:
    """Until when each short group is held to be, in seconds of the clock that is passed in."""

    patience: float
    hold: float
    until: Mapping[str, float]

    def after(self, pods: Iterable[Pod], now: float) -> Shortage:
        """What is known when the pods have been looked at."""
        waiting = {
            pod.group
            for pod in pods
            if pod.is_alive and pod.waits_since is not None and now - pod.waits_since >= self.patience
        }
        still = {group: until for group, until in self.until.items() if until > now}
        return Shortage(self.patience, self.hold, {**still, **dict.fromkeys(waiting, now + self.hold)})

    @property
    def groups(self) -> frozenset[str]:
        """The short ones, as of the last look."""
        return frozenset(self.until)
