"""``dllm k8s capacity --watch``: the bounds kept up to date by one of several processes, the one that leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cluster.kubernetes.client import Kubernetes
from cluster.kubernetes.errors import KubernetesError
from cluster.kubernetes.leadership import candidacy
from cluster.kubernetes.ray_service import MalformedService
from cluster.kubernetes.services import NoService
from cluster.kubernetes.settle import Settlement, settle
from cluster.kubernetes.shortage import Shortage


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept up to date, every ``interval`` seconds, and by whom: the holder of the Lease ``lease``."""

    namespace: str
    release: str | None
    lease: str
    identity: str
    interval: float
    elastic: bool


def keep(
    kubernetes: Kubernetes,
    keeping: Keeping,
    shortage: Shortage,
    tell: Callable[[Settlement | Exception], None],
    stopping: threading.Event,
    *,
    clock: Callable[[], float] = time.time,
) -> None:
    """Settle again and again while this process leads, until ``stopping`` is set; the Lease is let go then.

    What goes wrong is told, and tried again at the next turn.
    """
    with candidacy(kubernetes, keeping.namespace, keeping.lease, keeping.identity) as leadership:
        while not stopping.is_set():
            if leadership.leads():
                try:
                    settlement = settle(
                        kubernetes,
                        keeping.namespace,
                        keeping.release,
                        shortage,
                        clock(),
                        elastic=keeping.elastic,
                        may_write=leadership.leads,
                    )
                    shortage = settlement.shortage
                    tell(settlement)
                except (KubernetesError, NoService, MalformedService) as error:
                    tell(error)
            stopping.wait(keeping.interval)
