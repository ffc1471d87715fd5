from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deployments.config import ClusterConfig, ModelConfig, PoolConfig, SimulationConfig, load_config
from deployments.document import ConfigError
from deployments.tenancy.keys import make_key
from dllm_worker.simulated.device import SimulatedDevice

EXAMPLE = Path(__file__).parents[2] / "cluster.yaml"

KEY = make_key("test")

REFUSED = {
    "models: [{id: a, checkpoint: b, pools: [{replicaz: 1}]}]": "models.0.pools.0.replicaz: unknown key",
    "htpp: {}": "htpp: unknown key",
    "models: [{id: a, checkpoint: b, pools: [{replicas: 2, max_replicas: 1}]}]": "max_replicas has to be at least",
    "models: [{id: a, checkpoint: b, pools: [{replicas: -1}]}]": "models.0.pools.0.replicas: Input should be greater",
    "models: [{id: a, checkpoint: b, pools: [{replicas: 0}]}]": "replicas may be 0 only with max_replicas",
    "models: [{id: a, checkpoint: b, pools: [{scaling: {load: 0.5}}]}]": "scaling needs max_replicas",
    "telemetry: {traces: {exporter: file}}": "file belongs to exporter file",
    "telemetry: {traces: {endpoint: x}}": "endpoint and protocol belong to exporter otlp",
    "models: [{id: a, checkpoint: b, pools: []}]": "models.0.pools: ",
    "models: [{id: a, checkpoint: b, pools: [{}, {}]}]": "models.0: pools: default is given more than once",
    "models: [{id: a, checkpoint: b, pools: [{canvas: {least: 9, most: 8}}]}]": "pools.0.canvas: least is 9",
    "models: [{id: a, checkpoint: b, pools: [{canvas: {least: 2, most: 8}}]}]": "no pool serves a canvas of 1 ",
    (
        "models: [{id: a, checkpoint: b, pools: [{canvas: {most: 8}}, {name: l, canvas: {least: 10, most: 16}}]}]"
    ): "no pool serves a canvas of 9 positions",
    "models: [{id: a, checkpoint: b, pools: [{stall_seconds: 1.5}]}]": "stall_seconds has to be at least twice",
    "models: [{id: a, checkpoint: b, device: simulated}]": "models.0: simulation belongs to device simulated",
    "models: [{id: a, checkpoint: b, simulation: {}}]": "models.0: simulation belongs to device simulated",
    "tenants: [{name: a}, {name: a}]": "tenants: a is given more than once",
    "tenants: [{name: a, quality_floor: best}]": "tenants.0.quality_floor: ",
    "routing: {router: random}": "routing.router: ",
    "http: {port: '8000'}": "http.port: Input should be a valid integer",
    "http: {port: 65536}": "http.port: ",
    "http: {keep_alive_seconds: .inf}": "http.keep_alive_seconds: ",
    "models: [{id: a, checkpoint: b, dtype: int8}]": "models.0.dtype: ",
    "models: [{id: a b, checkpoint: b}]": "models.0.id: ",
    "models: [{checkpoint: b}]": "models.0.id: Field required",
    "models: []": "models: ",
    "models: [{id: a, checkpoint: b}, {id: a, checkpoint: c}]": "models: a is given more than once",
    "models: [{id: a, checkpoint: b, device: cuda}]": "models.0: device cuda needs gpus above 0 in each pool",
    "state: {url: 'http://host'}": "state.url: expected embedded, or a redis",
    "ray: {address: 'ray://head:10001'}": "state.url: the embedded server serves this machine only",
    f"keys: [{{tenant: a, key: {KEY}}}, {{tenant: b, key: {KEY}}}]": "keys: ",
    "keys: [{tenant: a, key: short}]": "keys.0.key: expected a key of the form",
    "name: a\nname: b": "name: given twice",
    "models: [": "while parsing",
    "- 1": "Input should be a valid dictionary",
}


LISTS: dict[str, type[BaseModel]] = {"models": ModelConfig, "pools": PoolConfig}
"""The keys that hold lists of sections, each with an entry in the example."""


def write(directory: Path, text: str) -> Path:
    path = directory / "cluster.yaml"
    path.write_text(text)
    return path


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """The tree of a section's keys; a list of sections counts as one."""
    sections = LISTS
    tree = {}
    for name, field in model.model_fields.items():
        section = sections.get(name, field.annotation)
        nested = isinstance(section, type) and issubclass(section, BaseModel)
        tree[name] = keys_of(section) if nested else None  # type: ignore[arg-type]
    return tree


def keys_in(tree: dict[str, Any]) -> dict[str, Any]:
    first = {name: value[0] if name in LISTS else value for name, value in tree.items()}
    return {name: keys_in(value) if isinstance(value, dict) and value else None for name, value in first.items()}


def test_the_default_is_a_laptop_with_the_embedded_models() -> None:
    config = load_config()
    assert [model.checkpoint for model in config.models] == ["embedded:tiny-code", "embedded:tiny-sudoku"]
    assert (config.http.host, config.http.port, config.state.url) == ("127.0.0.1", 8000, "embedded")


def test_the_example_is_the_default_and_shows_every_key() -> None:
    assert load_config(EXAMPLE) == ClusterConfig()
    assert keys_in(yaml.safe_load(EXAMPLE.read_text())) == keys_of(ClusterConfig)


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "# nothing yet\n")) == ClusterConfig()


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_a_bad_file_is_refused_with_the_path_of_the_key(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(write(tmp_path, text))
    assert reason in str(refusal.value)


def test_every_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(write(tmp_path, "nam: a\nhttp: {port: x}"))
    assert str(refusal.value) == "http.port: Input should be a valid integer\nnam: unknown key"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: No such file"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["keys: [{tenant: a, key: hush}]", "state: {url: 'redis://user:hush'}"])
def test_a_refusal_does_not_repeat_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(write(tmp_path, text))
    assert "hush" not in str(refusal.value)


def test_a_key_is_not_shown_with_the_configuration(tmp_path: Path) -> None:
    key = make_key("test")
    config = load_config(write(tmp_path, f"keys: [{{tenant: a, key: {key}}}]"))
    assert key not in repr(config)
    assert config.keys[0].key is not None
    assert config.keys[0].key.get_secret_value() == key


def test_the_longest_canvas_is_that_of_any_pool(tmp_path: Path) -> None:
    pools = "pools: [{name: l, canvas: {least: 33, most: 256}}, {name: s, canvas: {most: 64}}]"
    (model,) = load_config(write(tmp_path, f"models: [{{id: a, checkpoint: b, {pools}}}]")).models
    assert model.longest_canvas == 256
    assert [(pool.sizes.least, pool.sizes.most) for pool in model.pools] == [(33, 256), (1, 64)]
    assert ClusterConfig().models[0].longest_canvas > 10**9


def test_a_simulated_device_is_configured_as_it_is_made() -> None:
    assert SimulatedDevice(**SimulationConfig().model_dump()) == SimulatedDevice()


def test_decisions_are_kept_as_long_as_they_are_looked_back_at(tmp_path: Path) -> None:
    short = "autoscaling: {history_seconds: 120}"
    assert load_config(write(tmp_path, short)).autoscaling.history_seconds == 120.0
    scaled = f"{short}\nmodels: [{{id: a, checkpoint: b, pools: [{{max_replicas: 2}}]}}]"
    with pytest.raises(ConfigError, match="looks back 300 s"):
        load_config(write(tmp_path, scaled))


def test_a_model_is_scaled_when_a_pool_of_it_is() -> None:
    fixed, scaled = PoolConfig(), PoolConfig(name="big", max_replicas=2)
    assert not ModelConfig(id="a", checkpoint="b", pools=[fixed]).is_scaled
    assert ModelConfig(id="a", checkpoint="b", pools=[fixed, scaled]).is_scaled
