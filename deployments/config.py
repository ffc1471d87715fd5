"""The configuration of a cluster: one typed YAML tree, the same on a laptop and in production.

An unknown key or a bad value is refused with its full path, as in ``models.0.pool.replicaz: unknown key``.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from deployments.state.address import StateAddress

EMBEDDED = "embedded"
"""The value of ``state.url`` for a Valkey server that the cluster starts and stops itself."""

LOCAL_RAY_ADDRESSES = (None, "auto")

Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda"]
PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ConfigError(ValueError):
    """The configuration is refused. One line for each fault, headed by the path of its key."""


class Section(BaseModel):
    """A part of the tree: immutable, every key known, no value converted from another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


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
    """Where request records are kept, and for how long after their last change."""

    url: Annotated[str, AfterValidator(_state_url)] = EMBEDDED
    ttl_seconds: PositiveInt = 86_400


class KeyConfig(Section):
    """An API key and the tenant that it speaks for. A tenant may have several keys."""

    tenant: Name
    key: SecretStr = Field(min_length=16)


class PoolConfig(Section):
    """The replicas of one model.

    ``cpus`` and ``gpus`` are what Ray reserves for a replica, ``threads`` is how many threads its tensor kernels use
    on a CPU. ``max_running`` canvases are denoised together and ``max_waiting`` requests wait behind them.
    ``position_budget`` bounds the position-forwards of one step, ``refresh_budget`` those that encode text or compute
    approximate caches anew beside them (null leaves it to the engine), ``cache_positions`` the positions held in the
    cache.
    """

    replicas: PositiveInt = 1
    cpus: Share = 0.5
    gpus: Share = 0.0
    threads: PositiveInt = 1
    max_running: PositiveInt = 32
    max_waiting: PositiveInt = 256
    position_budget: PositiveInt = 1024
    refresh_budget: PositiveInt | None = None
    cache_positions: PositiveInt = 16_384


class ModelConfig(Section):
    """A served model. ``checkpoint`` is ``embedded:<name>``, a local folder, or a name of the Hugging Face hub.

    With ``deterministic`` a request gives the same tokens in every batch, whatever the dtype and the threads.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    checkpoint: str = Field(min_length=1)
    dtype: Dtype = "float32"
    device: Device = "cpu"
    deterministic: bool = False
    pool: PoolConfig = PoolConfig()

    @model_validator(mode="after")
    def _device_is_reserved(self) -> Self:
        if self.device == "cuda" and self.pool.gpus == 0:
            raise ValueError("device cuda needs pool.gpus above 0")
        return self


class RayConfig(Section):
    """``address`` null starts Ray on this machine; ``auto``, ``ray://host:port`` or ``host:port`` joins a cluster."""

    address: str | None = Field(default=None, min_length=1)
    dashboard: bool = False


class ClusterConfig(Section):
    """A whole cluster. The default serves the embedded models to this machine.

    Without ``keys`` the cluster is in development mode: one key, made at start-up, for the tenant ``dev``.
    """

    name: Name = "dllm"
    http: HttpConfig = HttpConfig()
    state: StateConfig = StateConfig()
    keys: list[KeyConfig] = []
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


def _refuse_repetition(path: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{path}: {', '.join(repeated)} is given more than once")


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
