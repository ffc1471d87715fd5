"""What the pools of a configuration ask of worker groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from cluster.kubernetes.ray_service import WorkerGroup
from cluster.kubernetes.selectors import TYPE_LABEL, selects
from deployments.autoscaling.measures import pool_name
from deployments.config import ClusterConfig, PoolConfig


@dataclass(frozen=True, slots=True)
class Demand:
    """A pool: between ``least`` and ``most`` replicas, on nodes of Ray that have what ``selector`` asks for. A replica
    takes ``cpus`` and ``gpus`` of its node.
    """

    pool: str
    least: int
    most: int
    cpus: Fraction
    gpus: Fraction
    selector: Mapping[str, str]
    price: float

    def slots(self, group: WorkerGroup) -> int:
        """How many replicas a pod of the group holds; 0 where they may not run."""
        if not selects(self.selector, group.labels):
            return 0
        by_gpus = _held(group.devices, self.gpus)
        by_cpus = None if self.cpus == 0 else int(group.cpus / self.cpus)
        bounds = [bound for bound in (by_gpus, by_cpus) if bound is not None]
        # A replica that reserves nothing fits anywhere; one to a pod is what it is counted as.
        return min(bounds) if bounds else 1

    def wastes(self, group: WorkerGroup) -> bool:
        """Whether a replica would keep accelerators that it does not use."""
        return self.gpus == 0 and group.devices > 0


def demands(config: ClusterConfig) -> tuple[Demand, ...]:
    """What each pool asks for, in the order of the configuration."""
    return tuple(_demand(model.id, pool) for model in config.models for pool in model.pools)


def _demand(model: str, pool: PoolConfig) -> Demand:
    accelerator = pool.accelerator
    kind = {} if accelerator.type is None else {TYPE_LABEL: accelerator.type}
    return Demand(
        pool=pool_name(model, pool.name),
        least=pool.replicas,
        most=pool.replicas if pool.max_replicas is None else pool.max_replicas,
        cpus=Fraction(str(pool.cpus)),
        gpus=Fraction(str(pool.gpus)),
        selector={**accelerator.labels, **kind},
        price=accelerator.price_per_hour,
    )


def _held(devices: int, gpus: Fraction) -> int | None:
    """How many replicas the devices hold. Ray gives a part of one device, or whole ones."""
    if gpus == 0:
        return None
    return devices * int(1 / gpus) if gpus < 1 else int(devices / gpus)
