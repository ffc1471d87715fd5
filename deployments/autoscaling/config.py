"""How a pool's size follows its work, and how its replicas measure what they do."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deployments.section import PositiveInt, Seconds, Section, Share

ActivitySource = Literal["gpm", "dcgm", "estimate"]


class ObjectiveConfig(Section):
    """What clients are to meet."""

    first_commit_seconds: Seconds = 5.0
    """The time from a request's arrival to its first text."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The share of requests that are to have it by then."""


class PaceConfig(Section):
    """How fast the number of replicas may change in one direction.

    Within ``period_seconds`` it changes by ``replicas`` at most, or by the ``share``, whichever is more.
    """

    stabilization_seconds: Share = 0.0
    """How long a change has to be wanted."""

    replicas: PositiveInt = 4
    """The most replicas in a period."""

    share: Share = 1.0
    """The most replicas in a period, as a share of those that there are."""

    period_seconds: Seconds = 15.0
    """The length of a period."""


class PanicConfig(Section):
    """When a pool grows at once, whatever its pace."""

    window_seconds: Seconds = 6.0
    """The time over which the mean of the wanted number is taken."""

    threshold: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    """The mean at which it grows, as a multiple of what there is."""

    hold_seconds: Seconds = 60.0
    """How long that has to be over before the pool shrinks."""


class FloorConfig(Section):
    """A floor under the size of a pool at certain hours."""

    replicas: PositiveInt
    """The fewest replicas."""

    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """When it begins to hold, as ``HH:MM`` in UTC."""

    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """When it ceases to hold, as ``HH:MM`` in UTC; if that is not after ``start``, on the next day."""

    days: list[Annotated[int, Field(ge=0, le=6)]] = Field(default=[0, 1, 2, 3, 4, 5, 6], min_length=1)
    """The days on which it begins; 0 is Monday."""


class ScalingConfig(Section):
    """How many replicas a pool with ``max_replicas`` wants: the most that a signal of its policy asks for."""

    policy: str = Field(default="tensor_core", min_length=1)
    """``tensor_core``, ``queue_wait``, ``slo``, ``schedule``, ``composite`` (all of them together), or one of the
    operator's own as ``package.module:name``.
    """

    load: Annotated[float, Field(gt=0, le=1)] = 0.75
    """The tensor activity to aim at, as a share of the plateau."""

    wait_seconds: Seconds = 2.0
    """The predicted wait to aim at."""

    burn: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """The burn rate of the objective to aim at."""

    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """The relative deviation from a target that changes nothing."""

    up: PaceConfig = PaceConfig()
    """How fast the pool grows."""

    down: PaceConfig = PaceConfig(stabilization_seconds=300.0, replicas=1, share=0.5, period_seconds=60.0)
    """How fast the pool shrinks."""

    panic: PanicConfig = PanicConfig()
    """When the pool grows at once."""

    schedule: list[FloorConfig] = Field(default=[])
    """The floors under its size; they hold under every policy."""

    idle_seconds: Seconds = 300.0
    """With ``replicas: 0`` the last replica stops after so long without a request."""

    cold_start_seconds: Seconds = 30.0
    """How long a replica takes to start, until that has been seen."""

    @property
    def longest_window(self) -> float:
        """Seconds that decisions look back at most."""
        paces = (self.up, self.down)
        windows = [max(pace.stabilization_seconds, pace.period_seconds) for pace in paces]
        return max(*windows, self.panic.window_seconds, self.panic.hold_seconds, self.idle_seconds)


class ActivityConfig(Section):
    """How the tensor activity of a replica is measured."""

    sources: list[ActivitySource] = Field(default=["gpm", "dcgm", "estimate"])
    """The first that can be read is taken: ``gpm`` is NVML's counter (Hopper and later), ``dcgm`` that of the DCGM
    exporter, ``estimate`` the operations of the executed steps over the measured peak.
    """

    prometheus_url: str | None = Field(default=None, pattern=r"^https?://")
    """The Prometheus that has the DCGM exporter's metrics, as in ``http://prometheus:9090``."""

    interval_seconds: Seconds = 1.0
    """The time between two readings."""

    calibration_seconds: Share = 0.5
    """The time in which a replica finds the plateau of its model at its start; with 0 the plateau is 1."""


class AutoscalingConfig(Section):
    """How the work of replicas is reported and decided upon."""

    interval_seconds: Seconds = 2.0
    """The time between two reports of a replica or gateway, and between two decisions."""

    stale_seconds: Seconds = 15.0
    """What is older counts as unknown, and no pool shrinks by what is not known."""

    history_seconds: Seconds = 3600.0
    """Decisions and what they were made from are kept for so long; at least as long as a pool looks back."""

    activity: ActivityConfig = ActivityConfig()
    """How tensor activity is measured."""
