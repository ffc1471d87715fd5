from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from deployments.config import ClusterConfig, ConfigError, ModelConfig, load_config

EXAMPLE = Path(__file__).parents[2] / "cluster.yaml"

REFUSED = {
    "models: [{id: a, checkpoint: b, pool: {replicaz: 1}}]": "models.0.pool.replicaz: unknown key",
    "htpp: {}": "htpp: unknown key",
    "models: [{id: a, checkpoint: b, pool: {replicas: 0}}]": "models.0.pool.replicas: Input should be greater than 0",
    "http: {port: '8000'}": "http.port: Input should be a valid integer",
    "http: {port: 65536}": "http.port: ",
    "http: {keep_alive_seconds: .inf}": "http.keep_alive_seconds: ",
    "models: [{id: a, checkpoint: b, dtype: int8}]": "models.0.dtype: ",
    "models: [{id: a b, checkpoint: b}]": "models.0.id: ",
    "models: [{checkpoint: b}]": "models.0.id: Field required",
    "models: []": "models: ",
    "models: [{id: a, checkpoint: b}, {id: a, checkpoint: c}]": "models: a is given more than once",
    "models: [{id: a, checkpoint: b, device: cuda}]": "models.0: device cuda needs pool.gpus above 0",
    "state: {url: 'http://host'}": "state.url: expected embedded, or a redis",
    "ray: {address: 'ray://head:10001'}": "state.url: the embedded server serves this machine only",
    "keys: [{tenant: a, key: 0123456789abcdef}, {tenant: b, key: 0123456789abcdef}]": "keys: two entries",
    "name: a\nname: b": "name: given twice",
    "models: [": "while parsing",
    "- 1": "Input should be a valid dictionary",
}


def write(directory: Path, text: str) -> Path:
    path = directory / "cluster.yaml"
    path.write_text(text)
    return path


def keys_of(model: type[BaseModel]) -> dict[str, Any]:
    """The tree of a section's keys; a list of sections counts as one."""
    sections = {"models": ModelConfig}
    tree = {}
    for name, field in model.model_fields.items():
        section = sections.get(name, field.annotation)
        nested = isinstance(section, type) and issubclass(section, BaseModel)
        tree[name] = keys_of(section) if nested else None  # type: ignore[arg-type]
    return tree


def keys_in(tree: dict[str, Any]) -> dict[str, Any]:
    first = {name: value[0] if name == "models" else value for name, value in tree.items()}
    return {name: keys_in(value) if isinstance(value, dict) else None for name, value in first.items()}


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
    config = load_config(write(tmp_path, "keys: [{tenant: a, key: 0123456789abcdef}]"))
    assert "0123456789abcdef" not in repr(config)
    assert config.keys[0].key.get_secret_value() == "0123456789abcdef"
