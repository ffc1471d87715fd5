"""The pods of a Ray cluster, by what bears on its capacity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cluster.kubernetes.objects import Object, condition_of, labels_of, name_of, part

CLUSTER_LABEL, GROUP_LABEL = "ray.io/cluster", "ray.io/group"
COMPONENT_LABEL = "app.kubernetes.io/component"
HEAD_GROUP = "headgroup"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the Ray cluster ``cluster``, in a worker group or ``headgroup``; one that is of no Ray cluster is in the
    group of its component. Without a ``node`` it waits for one.

    ``waits_since`` is when the scheduler first found no node for it, in Unix seconds.
    """

    name: str
    uid: str
    cluster: str
    group: str
    node: str | None
    phase: str
    is_ready: bool
    is_leaving: bool
    waits_since: float | None

    @property
    def is_alive(self) -> bool:
        """Whether it runs or is about to."""
        return self.phase in ("Pending", "Running", "Unknown") and not self.is_leaving

    @property
    def is_head(self) -> bool:
        """Whether it is the head of its cluster."""
        return self.group == HEAD_GROUP


def pod_of(value: Object) -> Pod:
    """A pod as the API gives it."""
    labels, scheduled = labels_of(value), condition_of(value, "PodScheduled")
    unplaced = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return Pod(
        name=name_of(value),
        uid=part(value, "metadata").get("uid", ""),
        cluster=labels.get(CLUSTER_LABEL, ""),
        group=labels.get(GROUP_LABEL) or labels.get(COMPONENT_LABEL, ""),
        node=part(value, "spec").get("nodeName"),
        phase=part(value, "status").get("phase", ""),
        is_ready=condition_of(value, "Ready").get("status") == "True",
        is_leaving="deletionTimestamp" in part(value, "metadata"),
        waits_since=_seconds(scheduled.get("lastTransitionTime")) if unplaced else None,
    )


def _seconds(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()
