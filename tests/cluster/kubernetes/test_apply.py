"""Which changes of a configuration are made in place, which are refused, and by what patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cluster.environment import node_environment
from cluster.kubernetes.apply import KEYS_OF_VARIABLES, Change, apply_patch, change
from cluster.kubernetes.ray_service import RayService, ray_service_of
from cluster.kubernetes.services import running_config
from deployments.config import ClusterConfig
from deployments.serve_config import serve_config
from tests.cluster.kubernetes import things
from tests.cluster.kubernetes.api_server.patches import PatchError, json_patch

RUNNING = ray_service_of(things.ray_service())


def wanted(edit: Callable[[Any], object], service: RayService = RUNNING) -> Change:
    tree = things.args(things.LARGE, things.SMALL)
    edit(tree)
    configuration = ClusterConfig.model_validate(tree)
    return change(service, configuration, serve_config(configuration))


def pool(tree: Any, index: int = 0) -> Any:
    return tree["models"][0]["pools"][index]


def test_the_same_configuration_is_no_change() -> None:
    found = wanted(lambda tree: None)
    assert (found.difference, found.refusals) == ("", ())


@pytest.mark.parametrize(
    "edit",
    [
        lambda tree: pool(tree).update(max_running=8),
        lambda tree: pool(tree).update(replicas=3),
        lambda tree: tree["gateway"].update(replicas=3),
        lambda tree: tree.update(limits={"without_state": "deny"}),
        lambda tree: tree.update(tenants=[{"name": "acme", "weight": 3.0}]),
        lambda tree: tree["models"].append({**tree["models"][0], "id": "dream"}),
        lambda tree: tree["models"][0]["pools"].pop(),
    ],
    ids=["batch", "replicas", "gateways", "limits", "tenants", "model", "pool"],
)
def test_what_serve_can_take_over_is_changed_in_place(edit: Callable[[Any], object]) -> None:
    found = wanted(edit)
    assert found.refusals == ()
    assert found.difference
    tree = things.args(things.LARGE, things.SMALL)
    edit(tree)
    document = yaml.safe_load(found.text)
    assert document == {
        **RUNNING.document,
        "applications": [{**RUNNING.document["applications"][0], "args": document["applications"][0]["args"]}],
    }
    assert ClusterConfig.model_validate(document["applications"][0]["args"]) == ClusterConfig.model_validate(tree)


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        (lambda tree: tree["http"].update(max_body_bytes=2 << 20), "http.max_body_bytes"),
        (lambda tree: tree.update(ray={"serving": "haproxy"}), "ray.serving"),
        (lambda tree: tree.update(telemetry={"traces": {"exporter": "console"}}), "telemetry.traces"),
        (lambda tree: tree["http"].update(port=8080), "http.host and http.port"),
        (lambda tree: tree.update(grpc={"port": 9001}), "grpc.port and grpc.reflection"),
        (lambda tree: tree.update(grpc={"port": None}), "grpc.port and grpc.reflection"),
        (lambda tree: tree["admin"].update(port=8002), "admin.port"),
        (lambda tree: tree.update(name="other"), "name"),
        (lambda tree: pool(tree)["accelerator"].update(type="B200"), "pool llada/large: no worker group"),
        (lambda tree: pool(tree)["accelerator"]["labels"].update(tier="huge"), "pool llada/large: no worker group"),
        (lambda tree: pool(tree).update(gpus=2.0), "pool llada/large: no worker group"),
        (lambda tree: pool(tree).update(cpus=16.0), "pool llada/large: no worker group"),
        (lambda tree: pool(tree).update(replicas=5, max_replicas=6), "pool llada/large: 5 replicas, and h100 hold 4"),
    ],
    ids=[
        "body",
        "serving",
        "traces",
        "http",
        "grpc",
        "no-grpc",
        "admin",
        "name",
        "type",
        "label",
        "gpus",
        "cpus",
        "room",
    ],
)
def test_what_needs_other_pods_is_refused_by_its_key(edit: Callable[[Any], object], refusal: str) -> None:
    [found] = wanted(edit).refusals
    assert found.startswith(refusal)


def test_every_variable_of_the_pods_has_a_key() -> None:
    """What is not named is of ``ray.serving``: nothing else may change without a change of that key."""
    plain = node_environment(ClusterConfig())
    served = {name for mode in ("throughput", "haproxy") for name in _changed(plain, {"ray": {"serving": mode}})}
    sized = _changed(plain, {"http": {"max_body_bytes": 2 << 20}})
    traced = _changed(plain, {"telemetry": {"traces": {"exporter": "console"}}})
    assert {*sized, *traced} == set(KEYS_OF_VARIABLES)
    assert not served & set(KEYS_OF_VARIABLES)


def _changed(plain: dict[str, str], tree: Any) -> set[str]:
    other = node_environment(ClusterConfig.model_validate(tree))
    return {name for name in plain.keys() | other.keys() if plain.get(name) != other.get(name)}


def test_the_patch_holds_for_the_document_that_was_looked_at_only() -> None:
    value = things.ray_service()
    found = wanted(lambda tree: pool(tree).update(max_running=8))
    patched = json_patch(value, apply_patch(RUNNING, found.text))
    assert running_config(ray_service_of(patched)).models[0].pools[0].max_running == 8
    assert {**patched["spec"], "serveConfigV2": ""} == {**value["spec"], "serveConfigV2": ""}
    value["spec"]["serveConfigV2"] += "# somebody was here\n"
    with pytest.raises(PatchError):
        json_patch(value, apply_patch(RUNNING, found.text))
