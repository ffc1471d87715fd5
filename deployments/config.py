"""The configuration of a cluster: one typed YAML tree, the same on a laptop and in production.

An unknown key or a bad value is refused with its full path, as in ``models.0.pools.0.replicaz: unknown key``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from deployments.autoscaling.config import AutoscalingConfig, ObjectiveConfig, ScalingConfig
from deployments.document import ConfigError, load_document
from deployments.section import Name, PositiveInt, Seconds, Section, Share, refuse_repetition
from deployments.state.address import StateAddress
from deployments.telemetry.config import TelemetryConfig
from deployments.tenancy.declared import KeyConfig, TenantConfig, refuse_ambiguity

EMBEDDED = "embedded"
"""The value of ``state.url`` for a Valkey server that the cluster starts and stops itself."""

ADMIN_KEY_LENGTH = 16
"""The fewest characters of an admin key."""

LOCAL_RAY_ADDRESSES = (None, "auto")

Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda", "simulated"]
Phase = Literal["refresh", "reuse"]
Router = Literal["phase", "default", "round_robin"]
Serving = Literal["default", "throughput", "haproxy"]


class HttpConfig(Section):
    """Where the gateway listens, and what it takes. Port 0 takes a free port.

    Parameters that nobody knows are accepted and reported, or refused if ``refuse_unknown_parameters``.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65535)
    max_body_bytes: PositiveInt = 1 << 20
    keep_alive_seconds: Seconds = 10.0
    refuse_unknown_parameters: bool = False


class GrpcConfig(Section):
    """Where the gRPC services listen; port 0 takes a free port, and null starts none.

    With ``reflection`` clients can ask for the services' definitions; null offers it in development mode only.
    """

    port: int | None = Field(default=9000, ge=0, le=65535)
    reflection: bool | None = None


class AdminConfig(Section):
    """Where the operator's endpoints listen, and the credential that opens them. Port 0 takes a free port.

    The ``key`` may be in ``key_file`` instead, as a mounted secret. Without either one is made at start-up; ``dllm`` on
    the same machine finds it.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8001, ge=0, le=65535)
    key: SecretStr | None = Field(default=None, min_length=ADMIN_KEY_LENGTH)
    key_file: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _key_is_given_in_one_way(self) -> Self:
        if self.key is not None and self.key_file is not None:
            raise ValueError("a key is given as key or as key_file")
        return self

    def read_key(self) -> SecretStr | None:
        """The key, which may be in a file. Raises :class:`ConfigError` when that holds none."""
        if self.key_file is None:
            return self.key
        try:
            key = Path(self.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"admin.key_file: {error}") from None
        if len(key) < ADMIN_KEY_LENGTH:
            raise ConfigError(f"admin.key_file: a key has at least {ADMIN_KEY_LENGTH} characters")
        return SecretStr(key)


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
    """The replicas of the ingress. ``cpus`` is what Ray reserves for each, and ``labels`` a label selector of Ray: the
    nodes that they may run on.
    """

    replicas: PositiveInt = 1
    cpus: Share = 0.25
    labels: dict[str, str] = Field(default={})


class RoutingConfig(Section):
    """How replicas are chosen: ``phase`` by their predicted wait, due refresh work and cached prefixes; ``default`` and
    ``round_robin`` are Ray Serve's own routers, which know none of these.

    Between two canvases a request moves when it would wait ``steal_seconds`` less elsewhere.
    """

    router: Router = "phase"
    steal_seconds: Seconds = 2.0


class LimitsConfig(Section):
    """What becomes of limits while the state does not answer: ``deny`` refuses every request, ``local`` has each
    gateway count its part of each limit, ``allow`` counts nothing.
    """

    without_state: Literal["deny", "local", "allow"] = "local"


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
    """Which nodes a replica may run on: Ray's accelerator type, as in ``H100``, and label selector.

    Of pools for the same canvases the one whose work costs least by its ``price_per_hour`` grows first and shrinks
    last; the unit is the operator's.
    """

    type: str | None = Field(default=None, min_length=1)
    labels: dict[str, str] = Field(default={})
    price_per_hour: Share = 0.0


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

    Requests whose next step is of the ``phase`` go there first. There are ``replicas`` of them, or as many between
    that and ``max_replicas`` as ``scaling`` asks for. ``cpus`` and ``gpus`` are
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
    replicas: Annotated[int, Field(ge=0)] = 1
    max_replicas: PositiveInt | None = None
    scaling: ScalingConfig = ScalingConfig()
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


class ModelConfig(Section):
    """A served model. ``checkpoint`` is ``embedded:<name>``, a local folder, or a name of the Hugging Face hub.

    A position-forward of the model counts as ``work_weight`` work units in limits, shares and bills.
    With ``deterministic`` a request gives the same tokens in every batch, whatever the dtype and the threads. On the
    device ``simulated`` a step takes the time that ``simulation`` states, and its tokens mean nothing.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    checkpoint: str = Field(min_length=1)
    dtype: Dtype = "float32"
    device: Device = "cpu"
    work_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    deterministic: bool = False
    simulation: SimulationConfig | None = None
    objective: ObjectiveConfig = ObjectiveConfig()
    pools: list[PoolConfig] = Field(default=[PoolConfig()], min_length=1)

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

    ``tenancy_file`` is a YAML file with further ``tenants`` and ``keys``, as a mounted secret. Without any key the
    cluster is in development mode: one key, made at start-up, for the tenant ``dev``.
    """

    name: Name = "dllm"
    http: HttpConfig = HttpConfig()
    grpc: GrpcConfig = GrpcConfig()
    admin: AdminConfig = AdminConfig()
    limits: LimitsConfig = LimitsConfig()
    state: StateConfig = StateConfig()
    gateway: GatewayConfig = GatewayConfig()
    routing: RoutingConfig = RoutingConfig()
    autoscaling: AutoscalingConfig = AutoscalingConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    keys: list[KeyConfig] = Field(default=[])
    tenants: list[TenantConfig] = Field(default=[])
    tenancy_file: str | None = Field(default=None, min_length=1)
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
        refuse_repetition("models", [model.id for model in self.models])
        refuse_ambiguity(self.tenants, self.keys)
        return self

    @model_validator(mode="after")
    def _decisions_are_kept_long_enough(self) -> Self:
        """A pool shrinks only when that has been wanted for all of its window."""
        scaled = [pool.scaling for model in self.models for pool in model.pools if pool.max_replicas is not None]
        longest = max((scaling.longest_window for scaling in scaled), default=0.0)
        if self.autoscaling.history_seconds < longest:
            raise ValueError(f"autoscaling.history_seconds: a pool's scaling looks back {longest:g} s")
        return self

    @model_validator(mode="after")
    def _state_is_within_reach(self) -> Self:
        if self.state.url == EMBEDDED and self.ray.address not in LOCAL_RAY_ADDRESSES:
            raise ValueError("state.url: the embedded server serves this machine only, and ray.address names another")
        return self


def load_config(path: Path | None = None) -> ClusterConfig:
    """The configuration in the YAML file ``path``, or the default. Raises :class:`ConfigError`."""
    return ClusterConfig() if path is None else load_document(path, ClusterConfig)
