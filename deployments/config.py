"""The configuration of a cluster: one typed YAML tree, the same on a laptop and in production.

An unknown key or a bad value is refused with its full path, as in ``models.0.pools.0.replicaz: unknown key``.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from deployments.gateway.effort import Effort
from deployments.state.address import StateAddress

EMBEDDED = "embedded"
"""The value of ``state.url`` for a Valkey server that the cluster starts and stops itself."""

LOCAL_RAY_ADDRESSES = (None, "auto")

Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda", "simulated"]
Phase = Literal["refresh", "reuse"]
Router = Literal["phase", "default", "round_robin"]
Serving = Literal["default", "throughput", "haproxy"]
PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ConfigError(ValueError):
    """The configuration is refused. One line for each fault, headed by the path of its key."""


class Section(BaseModel):
    """A part of the tree: immutable, every key known, no value converted from another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _refuse_repetition(path: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{path}: {', '.join(repeated)} is given more than once")


class HttpConfig(Section):
    """Where the gateway listens, and what it takes. Port 0 takes a free port."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    max_body_bytes: PositiveInt = 1 << 20
    keep_alive_seconds: Seconds = 10.0


def _state_url(url: str) -> str:
    if url != EMBEDDED:
        StateAddress.parse(url)
    return url


class StateConfig(Section):
    """Where the state of requests is kept, and for how long after its last change.

    A gateway that is silent for ``lease_seconds`` loses its stored requests to the others.
    """

    url: Annotated[str, AfterValidator(_state_url)] = EMBEDDED
    ttl_seconds: PositiveInt = 86_400
    lease_seconds: Seconds = 15.0


class GatewayConfig(Section):
    """The replicas of the REST ingress. ``cpus`` is what Ray reserves for each."""

    replicas: PositiveInt = 1
    cpus: Share = 0.25


class RoutingConfig(Section):
    """How replicas are chosen: ``phase`` by their predicted wait, due refresh work and cached prefixes; ``default`` and
    ``round_robin`` are Ray Serve's own routers, which know none of these.

    Between two canvases a request moves when it would wait ``steal_seconds`` less elsewhere.
    """

    router: Router = "phase"
    steal_seconds: Seconds = 2.0


class KeyConfig(Section):
    """An API key and the tenant that it speaks for. A tenant may have several keys."""

    tenant: Name
    key: SecretStr = Field(min_length=16)


class TenantConfig(Section):
    """What holds for a tenant. Requests with a lower effort than ``quality_floor`` get that one; null sets none."""

    name: Name
    quality_floor: Effort | None = None


class CanvasSizes(Section):
    """The lengths of the canvases that a pool denoises."""

    least: PositiveInt = 1
    most: PositiveInt

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least is {self.least} and most is {self.most}")
        return self


class AcceleratorConfig(Section):
    """Which nodes a replica may run on: Ray's accelerator type, as in ``H100``, and label selector."""

    type: str | None = Field(default=None, min_length=1)
    labels: dict[str, str] = {}


EVERY_SIZE = CanvasSizes(most=sys.maxsize)
"""What a pool serves whose sizes are not given."""


class SimulationConfig(Section):
    """The duration of a simulated step, as :class:`dllm_worker.simulated.device.SimulatedDevice` has it.

    A canvas that may exit early takes ``steps`` steps on average.
    """

    floor_seconds: Seconds = 4.8e-3
    per_position_seconds: Share = 4e-5
    per_segment_seconds: Share = 2e-5
    steps: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0


class PoolConfig(Section):
    """Replicas of a model that are alike: one accelerator, one set of canvas sizes (null takes all).

    Requests whose next step is of the ``phase`` go there first. There are ``replicas`` of them, and up to
    ``max_replicas`` while more than ``max_running`` requests a replica are under way. ``cpus`` and ``gpus`` are
    what Ray reserves for a replica, ``threads`` is how many threads its tensor kernels use on a CPU.
    ``max_running`` canvases are denoised together and ``max_waiting`` requests wait behind them.
    ``position_budget`` bounds the position-forwards of one step, ``refresh_budget`` those that encode text or
    compute approximate caches anew beside them (null leaves it to the engine), ``cache_positions`` the positions
    held in the cache.

    A request can go on elsewhere from each commit and, between commits, from each ``checkpoint_every``-th step. A
    replica tells of itself each ``heartbeat_seconds``; one that is silent for ``stall_seconds`` is given up.
    """

    name: Name = "default"
    canvas: CanvasSizes | None = None
    phase: Phase | None = None
    accelerator: AcceleratorConfig = AcceleratorConfig()
    replicas: PositiveInt = 1
    max_replicas: PositiveInt | None = None
    cpus: Share = 0.5
    gpus: Share = 0.0
    threads: PositiveInt = 1
    max_running: PositiveInt = 32
    max_waiting: PositiveInt = 256
    position_budget: PositiveInt = 1024
    refresh_budget: PositiveInt | None = None
    cache_positions: PositiveInt = 16_384
    checkpoint_every: PositiveInt = 4
    heartbeat_seconds: Seconds = 1.0
    stall_seconds: Seconds = 10.0

    @property
    def sizes(self) -> CanvasSizes:
        """The lengths of the canvases that the pool denoises."""
        return self.canvas or EVERY_SIZE

    @model_validator(mode="after")
    def _replicas_are_a_range(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError("max_replicas has to be at least replicas")
        return self

    @model_validator(mode="after")
    def _a_living_replica_is_heard(self) -> Self:
        if self.stall_seconds < 2 * self.heartbeat_seconds:
            raise ValueError("stall_seconds has to be at least twice heartbeat_seconds")
        return self


class ModelConfig(Section):
    """A served model. ``checkpoint`` is ``embedded:<name>``, a local folder, or a name of the Hugging Face hub.

    With ``deterministic`` a request gives the same tokens in every batch, whatever the dtype and the threads. On the
    device ``simulated`` a step takes the time that ``simulation`` states, and its tokens mean nothing.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    checkpoint: str = Field(min_length=1)
    dtype: Dtype = "float32"
    device: Device = "cpu"
    deterministic: bool = False
    simulation: SimulationConfig | None = None
    pools: list[PoolConfig] = Field(default=[PoolConfig()], min_length=1)

    @property
    def longest_canvas(self) -> int:
        """The longest canvas that some pool serves."""
        return max(pool.sizes.most for pool in self.pools)

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
        _refuse_repetition("pools", [pool.name for pool in self.pools])
        served = 0
        for sizes in sorted((pool.sizes for pool in self.pools), key=lambda sizes: sizes.least):
            if sizes.least > served + 1:
                raise ValueError(
                    f"pools: no pool serves a canvas of {served + 1} positions, which an answer may end in"
                )
            served = max(served, sizes.most)
        return self


class RayConfig(Section):
    """``address`` null starts Ray on this machine; ``auto``, ``ray://host:port`` or ``host:port`` joins a cluster.

    ``serving`` is the way from the socket to the gateway: Ray Serve's own proxy (``default``), the same without its
    threads and with gRPC between processes (``throughput``), or HAProxy in its place besides (``haproxy``).
    """

    address: str | None = Field(default=None, min_length=1)
    dashboard: bool = False
    serving: Serving = "default"


class ClusterConfig(Section):
    """A whole cluster. The default serves the embedded models to this machine.

    Without ``keys`` the cluster is in development mode: one key, made at start-up, for the tenant ``dev``.
    """

    name: Name = "dllm"
    http: HttpConfig = HttpConfig()
    state: StateConfig = StateConfig()
    gateway: GatewayConfig = GatewayConfig()
    routing: RoutingConfig = RoutingConfig()
    keys: list[KeyConfig] = []
    tenants: list[TenantConfig] = []
    models: list[ModelConfig] = Field(
        default=[
            ModelConfig(id="tiny-code", checkpoint="embedded:tiny-code"),
            ModelConfig(id="tiny-sudoku", checkpoint="embedded:tiny-sudoku"),
        ],
        min_length=1,
    )
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _refuse_repetition("models", [model.id for model in self.models])
        _refuse_repetition("tenants", [tenant.name for tenant in self.tenants])
        if len({entry.key.get_secret_value() for entry in self.keys}) < len(self.keys):
            raise ValueError("keys: two entries have the same key")
        return self

    @model_validator(mode="after")
    def _state_is_within_reach(self) -> Self:
        if self.state.url == EMBEDDED and self.ray.address not in LOCAL_RAY_ADDRESSES:
            raise ValueError("state.url: the embedded server serves this machine only, and ray.address names another")
        return self


def load_config(path: Path | None = None) -> ClusterConfig:
    """The configuration in the YAML file ``path``, or the default. Raises :class:`ConfigError`."""
    if path is None:
        return ClusterConfig()
    try:
        # The loader below is PyYAML's safe one: it makes plain data only.
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return ClusterConfig.model_validate({} if tree is None else tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(fault) for fault in error.errors())) from error


def _describe(fault: ErrorDetails) -> str:
    """One line without the offending value, which may be a secret."""
    path = ".".join(str(key) for key in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    message = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else fault["msg"]
    return f"{path}: {message}" if path else message


class _StrictLoader(yaml.SafeLoader):
    """YAML whose mappings have each key once; PyYAML alone would keep the last and drop the others."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"{key}: given twice", node.start_mark)
        return super().construct_mapping(node, deep)
