"""The conductors of this process, one for each application: the policies of its deployments meet here.

Ray carries the module of a policy to its controller by value, and what that imports by name: so what they share is kept
in a module of its own.
"""

from __future__ import annotations

import threading
from functools import partial

from deployments.autoscaling.conductor import Conductor, Round
from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.deliberation import DecidingThread
from deployments.autoscaling.journal import Journal, RaySegments
from deployments.autoscaling.measures import measure
from deployments.autoscaling.publisher import Publisher
from deployments.telemetry.process import Exposed
from deployments.telemetry.prometheus import process_metrics

COMPONENT = "controller"

_CONDUCTORS: dict[str, Conductor] = {}
_LOCK = threading.Lock()


def conductor_of(application: str, config: AutoscalingConfig) -> Conductor:
    """The conductor of an application, which goes on with ``config``; the first who asks for it makes it."""
    with _LOCK:
        if application not in _CONDUCTORS:
            _CONDUCTORS[application] = _new_conductor(application, config)
        conductor = _CONDUCTORS[application]
    conductor.configure(config)
    return conductor


def least_busy(replicas: list[str]) -> list[str]:
    """``replicas`` in the order in which they are best stopped, as far as any conductor knows them."""
    for conductor in list(_CONDUCTORS.values()):
        replicas = conductor.least_busy(replicas)
    return replicas


def _new_conductor(application: str, config: AutoscalingConfig) -> Conductor:
    journal = Journal(RaySegments(application), config.history_seconds)
    publisher = Publisher(_Exposing(application), partial(measure, process_metrics()), journal.write)
    return Conductor(config, decide, publisher.tell, DecidingThread())


class _Exposing:
    """Has the metrics of this process found from the first round on, in the thread that tells of rounds."""

    def __init__(self, application: str) -> None:
        self._application = application
        self._exposed: Exposed | None = None

    def __call__(self, told: Round) -> None:
        if self._exposed is None:
            self._exposed = Exposed(self._application, COMPONENT)
