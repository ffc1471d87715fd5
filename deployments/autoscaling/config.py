"""How a pool's size follows its work, and how its replicas measure what they do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployments.section import PositiveInt, Seconds, Section, Share

ActivitySource = Literal["gpm", "dcgm", "estimate"]


class ObjectiveConfig(Section):
    """What clients are to meet: the first text within ``first_commit_seconds`` in the given ``share`` of requests."""

    first_commit_seconds: Seconds = 5.0
    share: Annotated[float, Field(gt=0, lt=1)] = 0.99


class PaceConfig(Section):
    """How fast the number of replicas may change in one direction.

    A change has to be wanted for all of ``stabilization_seconds``. Within ``period_seconds`` it is at most
    ``replicas``, or the ``share`` of those that there are, whichever is more.
    """

    stabilization_seconds: Share = 0.0
    replicas: PositiveInt = 4
    share: Share = 1.0
    period_seconds: Seconds = 15.0


class PanicConfig(Section):
    """When the wanted number over the last ``window_seconds`` is ``threshold`` times what there is, the pool grows at
    once, whatever its pace, and does not shrink until that has been over for ``hold_seconds``.
    """

    window_seconds: Seconds = 6.0
    threshold: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    hold_seconds: Seconds = 60.0


class FloorConfig(Section):
    """At least ``replicas`` on these ``days`` (0 is Monday) from ``start`` to ``end``, as ``HH:MM`` in UTC.

    An ``end`` that is not after ``start`` is that of the next day.
    """

    replicas: PositiveInt
    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(default=[0, 1, 2, 3, 4, 5, 6], min_length=1)


class ScalingConfig(Section):
    """How many replicas a pool with ``max_replicas`` wants.

    ``policy`` is ``tensor_core``, ``queue_wait``, ``slo``, ``schedule``, ``composite`` (all of them together), or one
    of the operator's own as ``package.module:name``. The number is such that the tensor load would be ``load``, the
    predicted wait ``wait_seconds`` and the burn rate of the objective ``burn``; deviations of less than ``tolerance``
    change nothing. ``up`` and ``down`` bound its changes, ``schedule`` sets floors. A pool of 0 replicas
    starts one for the first request that waits; it goes back to 0 after ``idle_seconds`` without any. A replica takes
    about ``cold_start_seconds`` to start, until that has been seen.
    """

    policy: str = Field(default="tensor_core", min_length=1)
    load: Annotated[float, Field(gt=0, le=1)] = 0.75
    wait_seconds: Seconds = 2.0
    burn: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.1
    up: PaceConfig = PaceConfig()
    down: PaceConfig = PaceConfig(stabilization_seconds=300.0, replicas=1, share=0.5, period_seconds=60.0)
    panic: PanicConfig = PanicConfig()
    schedule: list[FloorConfig] = Field(default=[])
    idle_seconds: Seconds = 300.0
    cold_start_seconds: Seconds = 30.0

    @property
    def longest_window(self) -> float:
        """Seconds that decisions look back at most."""
        paces = (self.up, self.down)
        windows = [max(pace.stabilization_seconds, pace.period_seconds) for pace in paces]
        return max(*windows, self.panic.window_seconds, self.panic.hold_seconds, self.idle_seconds)


class ActivityConfig(Section):
    """How the tensor activity of a replica is measured: by the first of ``sources`` that can be read.

    ``gpm`` is NVML's counter (Hopper and later), ``dcgm`` that of the DCGM exporter, which the Prometheus at
    ``prometheus_url`` has, ``estimate`` the operations of the executed steps over the measured peak. It is read each
    ``interval_seconds``. At its start a replica finds the plateau of its model in ``calibration_seconds``; with 0 the
    plateau is 1.
    """

    sources: list[ActivitySource] = Field(default=["gpm", "dcgm", "estimate"])
    prometheus_url: str | None = Field(default=None, pattern=r"^https?://")
    interval_seconds: Seconds = 1.0
    calibration_seconds: Share = 0.5


class AutoscalingConfig(Section):
    """Replicas and gateways report each ``interval_seconds``, and as often is decided. What is older than
    ``stale_seconds`` counts as unknown, and no pool shrinks by what is not known. Decisions and what they were made
    from are kept for ``history_seconds``.
    """

    interval_seconds: Seconds = 2.0
    stale_seconds: Seconds = 15.0
    history_seconds: Seconds = 3600.0
    activity: ActivityConfig = ActivityConfig()
