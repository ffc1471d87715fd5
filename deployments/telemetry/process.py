"""The metrics of a process of the cluster, to be found by the gateways."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack

import ray
from prometheus_client.registry import Collector
from ray import serve

from deployments.telemetry.exposition import Exposition
from deployments.telemetry.prometheus import process_metrics
from deployments.telemetry.targets import RayTargets, Target, Targets

logger = logging.getLogger(__name__)

RENEW_SECONDS = 10.0
"""Between two announcements: a process that was thought dead is found again after so long."""

CLOSE_SECONDS = 1.0


class Announcement:
    """Keeps ``target`` among ``targets`` until it is closed, from a thread of its own that no failure ends."""

    def __init__(self, target: Target, targets: Targets, renew_seconds: float = RENEW_SECONDS) -> None:
        self._target, self._targets, self._renew_seconds = target, targets, renew_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="announcement", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the target away, as far as that is done within ``CLOSE_SECONDS``."""
        self._closed.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._attempt(self._targets.announce)
            self._closed.wait(self._renew_seconds)
        self._attempt(self._targets.remove)

    def _attempt(self, change: Callable[[Target], None]) -> None:
        try:
            change(self._target)
        except Exception as error:
            logger.warning("where the metrics of %s are cannot be told: %s", self._target.process, error)


class Exposed:
    """The metrics of this process, and what ``collectors`` know, where the gateways of ``application`` find them until
    it is closed. A process that cannot listen on its node's address says so in its log, and does its work unseen.
    """

    def __init__(self, application: str, component: str, replica: str = "", *collectors: Collector) -> None:
        registry, self._closing = process_metrics().registry, ExitStack()
        for collector in collectors:
            registry.register(collector)
            self._closing.callback(registry.unregister, collector)
        try:
            exposition = Exposition(registry, component, replica, ray.util.get_node_ip_address())
        except OSError:
            logger.exception("the metrics of this %s cannot be read", component)
            return
        self._closing.callback(exposition.close)
        self._closing.callback(Announcement(exposition.target, RayTargets(application)).close)

    @classmethod
    def replica(cls, component: str, *collectors: Collector) -> Exposed:
        """Of the Serve replica that this process is."""
        replica = serve.get_replica_context().replica_id
        return cls(replica.deployment_id.app_name, component, replica.unique_id, *collectors)

    def close(self) -> None:
        """Be found no more. May be called again."""
        self._closing.close()


async def expose_gateway() -> None:
    """Have the metrics of this gateway found until cancelled."""
    exposed = Exposed.replica("gateway")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(exposed.close)
