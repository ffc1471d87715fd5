"""What the chart adds to a configuration, beside what the chart itself says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from cluster.kubernetes.charted import OWN, charted, written
from cluster.kubernetes.ray_service import ray_service_of
from cluster.kubernetes.services import running_config
from deployments.config import ClusterConfig, load_config
from deployments.document import ConfigError
from deployments.tenancy.declared import KeyConfig
from tests.cluster.kubernetes import things
from tests.helm.chart import NAMES, RenderError, pick, render, values_file


def configured(name: str) -> ClusterConfig:
    """``config`` of a values file as a configuration by itself."""
    return ClusterConfig.model_validate(yaml.safe_load(values_file(name).read_text())["config"])


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_with_what_is_added_is_what_the_chart_renders(name: str) -> None:
    running = running_config(ray_service_of(pick(render(name), "RayService")))
    tree, left_out = written(configured(name))
    assert charted(tree, running) == running
    assert left_out == ()


VALUES: dict[tuple[str, ...], str] = {
    ("gateway", "labels"): '{"a": "b"}',
    ("gateway", "drain_seconds"): "30",
    ("ray", "dashboard"): "true",
    ("state", "url"): '"redis://elsewhere:6379/0"',
    ("admin", "key"): "null",
}
"""What would be valid where the chart did not say it; elsewhere any text is."""


@pytest.mark.parametrize("path", OWN, ids=".".join)
def test_the_chart_refuses_what_is_its_own_to_say(path: tuple[str, ...]) -> None:
    with pytest.raises(RenderError, match="it is the chart's to say"):
        render("laptop", **{"__".join(("config", *path)): VALUES.get(path, '"10.0.0.1"')})


def test_a_file_for_a_laptop_is_taken_without_what_is_of_the_laptop() -> None:
    tree, left_out = written(load_config(Path("cluster.yaml")))
    assert left_out == tuple(".".join(path) for path in OWN)
    assert ClusterConfig.model_validate(tree)
    assert "state" in tree
    assert "url" not in tree["state"]


def test_a_section_with_nothing_left_is_left_out() -> None:
    tree, left_out = written(ClusterConfig.model_validate({"state": {"url": "redis://h:1/0"}, "name": "a"}))
    assert (tree, left_out) == ({"name": "a"}, ("state.url",))


def test_keys_of_tenants_do_not_get_into_values() -> None:
    config = ClusterConfig.model_construct(keys=[KeyConfig.model_construct(key=SecretStr("secret"))])
    with pytest.raises(ConfigError, match="keys: give each by its id"):
        written(config)


def test_what_the_collector_and_the_service_say_holds_unless_the_configuration_does() -> None:
    traces = {"exporter": "otlp", "protocol": "grpc", "endpoint": "http://collector:4317"}
    installed = things.args(things.LARGE, telemetry={"traces": traces}, grpc={"port": None})
    running = ClusterConfig.model_validate(installed)
    silent = charted({"models": things.args(things.LARGE)["models"]}, running)
    assert (silent.telemetry.traces.endpoint, silent.grpc.port) == ("http://collector:4317", None)
    said = charted({"models": things.args(things.LARGE)["models"], "grpc": {"port": 9001}}, running)
    assert said.grpc.port == 9001
