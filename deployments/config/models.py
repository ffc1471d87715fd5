"""The models that a cluster serves."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.autoscaling.config import ObjectiveConfig
from deployments.config.pools import PoolConfig
from deployments.section import Seconds, Section, Share, refuse_repetition

Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda", "simulated"]


class SimulationConfig(Section):
    """The duration of a step on device ``simulated``."""

    floor_seconds: Seconds = 4.8e-3
    """What every step takes."""

    per_position_seconds: Share = 4e-5
    """What a position adds."""

    per_segment_seconds: Share = 2e-5
    """What a run of positions of one request adds."""

    steps: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0
    """The steps that a canvas takes on average which may exit early."""


class ModelConfig(Section):
    """A served model."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    """The name by which clients ask for it."""

    checkpoint: str = Field(min_length=1)
    """``embedded:<name>``, a folder in the Hugging Face layout, or ``owner/model[@revision]`` of the hub."""

    dtype: Dtype = "float32"
    """The type of its weights and activations."""

    device: Device = "cpu"
    """Where it runs. On ``simulated`` a step takes the time that ``simulation`` states, and its tokens mean nothing."""

    work_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """The work units that a position-forward counts for in limits, shares and bills."""

    deterministic: bool = False
    """Whether a request gives the same tokens in every batch, whatever the dtype and the threads."""

    simulation: SimulationConfig | None = None
    """The duration of a step on device ``simulated``, which needs it."""

    objective: ObjectiveConfig = ObjectiveConfig()
    """What clients are to meet."""

    pools: list[PoolConfig] = Field(default=[PoolConfig()], min_length=1)
    """Its replicas, by the canvases that they serve and the accelerators that they have."""

    @property
    def longest_canvas(self) -> int:
        """The longest canvas that some pool serves."""
        return max(pool.sizes.most for pool in self.pools)

    @property
    def is_scaled(self) -> bool:
        """Whether the size of some pool follows its work."""
        return any(pool.max_replicas is not None for pool in self.pools)

    @model_validator(mode="after")
    def _device_is_reserved(self) -> Self:
        without = [pool.name for pool in self.pools if pool.gpus == 0]
        if self.device == "cuda" and without:
            raise ValueError(f"device cuda needs gpus above 0 in each pool; {', '.join(without)} has none")
        if (self.device == "simulated") != (self.simulation is not None):
            raise ValueError("simulation belongs to device simulated, and the device needs it")
        return self

    @model_validator(mode="after")
    def _pools_leave_no_gap(self) -> Self:
        """The last canvas of an answer is cut to what is left, so it may have any length up to the longest."""
        refuse_repetition("pools", [pool.name for pool in self.pools])
        served = 0
        for sizes in sorted((pool.sizes for pool in self.pools), key=lambda sizes: sizes.least):
            if sizes.least > served + 1:
                raise ValueError(
                    f"pools: no pool serves a canvas of {served + 1} positions, which an answer may end in"
                )
            served = max(served, sizes.most)
        return self
