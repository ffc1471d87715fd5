"""Pools: replicas of a model that are alike."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.autoscaling.config import ScalingConfig
from deployments.section import Name, PositiveInt, Seconds, Section, Share

Phase = Literal["refresh", "reuse"]


class CanvasSizes(Section):
    """The lengths of the canvases that a pool denoises, in tokens."""

    least: PositiveInt = 1
    """The shortest."""

    most: PositiveInt
    """The longest."""

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least is {self.least} and most is {self.most}")
        return self


class AcceleratorConfig(Section):
    """The nodes that a replica may run on, and what they cost."""

    type: str | None = Field(default=None, min_length=1)
    """Ray's accelerator type, as in ``H100``; null takes any node."""

    labels: dict[str, str] = Field(default={})
    """Ray's label selector, as in ``{dllm/pool: big}``."""

    price_per_hour: Share = 0.0
    """What a replica costs, in the operator's unit. Of pools for the same canvases the one whose work costs least grows
    first and shrinks last.
    """


EVERY_SIZE = CanvasSizes(most=sys.maxsize)
"""What a pool serves whose sizes are not given."""


class PoolConfig(Section):
    """Replicas of a model that are alike: one accelerator, one set of canvas sizes.

    A request can go on elsewhere from each commit and, between commits, from each ``checkpoint_every``-th step.
    """

    name: Name = "default"
    """The name, which no other pool of the model has."""

    canvas: CanvasSizes | None = None
    """The lengths of the canvases served; null serves all. The pools of a model leave no gap between them."""

    phase: Phase | None = None
    """The kind of step whose requests go there first: ``refresh`` or ``reuse``."""

    accelerator: AcceleratorConfig = AcceleratorConfig()
    """The nodes that a replica may run on."""

    replicas: Annotated[int, Field(ge=0)] = 1
    """How many replicas there are, or the fewest with ``max_replicas``. With 0 the first request that waits starts
    one.
    """

    max_replicas: PositiveInt | None = None
    """The most replicas, as many of them as ``scaling`` asks for; null keeps their number."""

    scaling: ScalingConfig = ScalingConfig()
    """How the number follows the work; given only with ``max_replicas``."""

    cpus: Share = 0.5
    """The CPUs that Ray reserves for a replica."""

    gpus: Share = 0.0
    """The GPUs that Ray reserves for a replica; above 0 on device ``cuda``."""

    threads: PositiveInt = 1
    """The threads of the tensor kernels of a replica on a CPU."""

    max_running: PositiveInt = 32
    """The canvases that a replica denoises together."""

    max_waiting: PositiveInt = 256
    """The requests that wait behind them in a replica; more are refused."""

    position_budget: PositiveInt = 1024
    """The most position-forwards of one step."""

    refresh_budget: PositiveInt | None = None
    """How many of these may encode text or compute approximate caches anew beside running canvases; null leaves it to
    the engine, which takes a quarter.
    """

    cache_positions: PositiveInt = 16_384
    """The positions held in a replica's cache of keys and values."""

    checkpoint_every: PositiveInt = 4
    """The steps between two checkpoints of a canvas that does not commit."""

    heartbeat_seconds: Seconds = 1.0
    """The time between two signs of life of a replica."""

    stall_seconds: Seconds = 10.0
    """A replica that gives no sign of life for so long is given up; at least twice ``heartbeat_seconds``."""

    @property
    def sizes(self) -> CanvasSizes:
        """The lengths of the canvases that the pool denoises."""
        return self.canvas or EVERY_SIZE

    @model_validator(mode="after")
    def _replicas_are_a_range(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError("max_replicas has to be at least replicas")
        if self.max_replicas is None and self.replicas == 0:
            raise ValueError("replicas may be 0 only with max_replicas")
        if self.max_replicas is None and self.scaling != ScalingConfig():
            raise ValueError("scaling needs max_replicas")
        return self

    @model_validator(mode="after")
    def _a_living_replica_is_heard(self) -> Self:
        if self.stall_seconds < 2 * self.heartbeat_seconds:
            raise ValueError("stall_seconds has to be at least twice heartbeat_seconds")
        return self
