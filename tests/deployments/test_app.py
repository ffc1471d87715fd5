"""What of the configuration becomes what of Ray Serve; that it runs is shown end to end."""

from __future__ import annotations

from typing import Any

import pytest
from ray import cloudpickle

from deployments.app import actor_options, build, deployment_name, gateway_options, served
from deployments.autoscaling.config import ScalingConfig
from deployments.autoscaling.trace import read_trace
from deployments.config import (
    AcceleratorConfig,
    CanvasSizes,
    ClusterConfig,
    GatewayConfig,
    ModelConfig,
    PoolConfig,
    RoutingConfig,
)
from deployments.document import ConfigError
from deployments.routing.routers import ROUTERS
from dllm_worker.models.checkpoint import describe, resolve_checkpoint

CODE = "embedded:tiny-code"
ANSWERED_BYTES = 100 << 10
"""``max_direct_call_object_size`` of Ray."""


def model(*pools: PoolConfig) -> ModelConfig:
    return ModelConfig(id="org/code", checkpoint=CODE, pools=list(pools))


def sized(name: str, least: int, most: int, **config: Any) -> PoolConfig:
    return PoolConfig(name=name, canvas=CanvasSizes(least=least, most=most), **config)


def deployments_of(config: ClusterConfig) -> dict[str, Any]:
    """All that the application is made of, by name."""
    gateway = build(config, "redis://localhost")._bound_deployment
    workers = [worker for pools in gateway.init_args[2].values() for worker in pools.values()]
    return {bound.name: bound for bound in (gateway, *(worker._bound_deployment for worker in workers))}


def test_each_pool_is_a_deployment() -> None:
    small, large = sized("small", 1, 64, replicas=3, cpus=0.1), sized("large", 33, 256, max_running=8, max_waiting=4)
    config = ClusterConfig(
        models=[model(small, large)], routing=RoutingConfig(router="round_robin"), gateway=GatewayConfig(replicas=2)
    )
    made = deployments_of(config)
    assert list(made) == ["gateway", "worker:org--code:small", "worker:org--code:large"]
    assert [made[name].num_replicas for name in list(made)[1:]] == [3, 1]
    gateways = made["gateway"]._deployment_config.autoscaling_config
    assert (gateways.min_replicas, gateways.max_replicas) == (2, 2)
    assert made["worker:org--code:large"].max_ongoing_requests == 12
    assert made["worker:org--code:large"].init_args[:2] == (config.models[0], large)
    routers = {made[name]._deployment_config.request_router_config.request_router_class for name in list(made)[1:]}
    assert routers == {ROUTERS["round_robin"]}


def test_a_pool_grows_between_its_bounds_by_its_policy() -> None:
    scaled = sized(
        "small", 1, 64, replicas=0, max_replicas=5, max_running=8, accelerator=AcceleratorConfig(price_per_hour=2.5)
    )
    config = ClusterConfig(name="ours", models=[model(scaled, sized("large", 33, 256))])
    made = deployments_of(config)
    scaling = made["worker:org--code:small"]._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (0, 5)
    known = scaling.policy.policy_kwargs
    assert known["application"] == "ours"
    (spec,) = read_trace([known["spec"]]).specs.values()
    assert (spec.name, spec.model, spec.group) == ("org/code/small", "org/code", "org/code:1-64")
    assert (spec.least, spec.most, spec.places, spec.price) == (0, 5, 8, 2.5)
    assert (spec.scaling, spec.objective) == (scaled.scaling, config.models[0].objective)
    assert made["worker:org--code:large"]._deployment_config.autoscaling_config is None


def test_a_policy_that_cannot_be_used_is_refused_before_anything_starts() -> None:
    scaled = PoolConfig(max_replicas=2, scaling=ScalingConfig(policy="nowhere:nothing"))
    with pytest.raises(ConfigError, match="org/code: pool default: policy nowhere:nothing cannot be imported"):
        build(ClusterConfig(models=[model(scaled)]), "redis://localhost")


@pytest.mark.parametrize("router", ROUTERS)
def test_every_router_can_be_had(router: Any) -> None:
    config = ClusterConfig(models=[model(PoolConfig())], routing=RoutingConfig(router=router))
    chosen = deployments_of(config)["worker:org--code:default"]._deployment_config.request_router_config
    names = {"phase": "PhaseRouter", "default": "PowerOfTwoChoicesRequestRouter", "round_robin": "RoundRobinRouter"}
    assert chosen.get_request_router_class().__name__ == names[router]


@pytest.mark.parametrize("router", ROUTERS)
def test_what_replicas_are_asked_for_fits_an_answer(router: Any) -> None:
    """A new head asks each replica for its settings, and has no time for what is not in the answer itself."""
    scaled = PoolConfig(max_replicas=4)
    config = ClusterConfig(models=[model(scaled)], routing=RoutingConfig(router=router))
    for name, deployment in deployments_of(config).items():
        settings = cloudpickle.dumps(deployment._deployment_config)
        assert len(settings) < ANSWERED_BYTES / 2, name


def test_gateways_have_the_router_that_serve_takes_behind_haproxy() -> None:
    settings = deployments_of(ClusterConfig())["gateway"]._deployment_config.request_router_config
    assert settings.is_default_request_router()


def test_a_replica_is_placed_by_what_its_pool_asks_for() -> None:
    assert actor_options(PoolConfig(cpus=0.25)) == {"num_cpus": 0.25, "num_gpus": 0.0}
    accelerator = AcceleratorConfig(type="H100", labels={"dllm/pool": "big"})
    assert actor_options(PoolConfig(gpus=1.0, accelerator=accelerator)) == {
        "num_cpus": 0.5,
        "num_gpus": 1.0,
        "accelerator_type": "H100",
        "label_selector": {"dllm/pool": "big"},
    }


def test_gateways_run_where_their_labels_say() -> None:
    assert gateway_options(GatewayConfig(cpus=1.0)) == {"num_cpus": 1.0}
    labels = {"dllm/role": "gateway"}
    assert gateway_options(GatewayConfig(cpus=1.0, labels=labels)) == {"num_cpus": 1.0, "label_selector": labels}


def test_a_gateway_that_stops_waits_for_its_answers() -> None:
    config = ClusterConfig(gateway=GatewayConfig(drain_seconds=45))
    assert build(config, "redis://localhost")._bound_deployment._deployment_config.graceful_shutdown_timeout_s == 45


def test_the_name_of_a_deployment_has_no_slash() -> None:
    assert deployment_name(model(PoolConfig()), PoolConfig()) == "worker:org--code:default"


def test_requests_may_ask_for_the_canvases_that_are_served() -> None:
    description = describe(resolve_checkpoint(CODE))
    assert served(description, model(PoolConfig())) == description
    assert served(description, model(sized("a", 1, 64), sized("b", 65, 100))).spec.max_canvas_length == 100
    with pytest.raises(ConfigError, match="org/code: no pool serves its own canvas of 32 positions"):
        build(ClusterConfig(models=[model(sized("a", 1, 31))]), "redis://localhost")
