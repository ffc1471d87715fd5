"""The policies as Ray Serve calls them: they answer whatever happens, and wait for nothing."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
from ray.serve.config import AutoscalingContext, AutoscalingPolicy

from deployments.autoscaling import conductors
from deployments.autoscaling.adapter import GatewayPolicy, PoolPolicy, sight_of
from deployments.autoscaling.conductor import Conductor, Round
from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.deployed import gateway_autoscaling, pool_autoscaling
from deployments.autoscaling.sample import Decision, History, PoolSpec, Reason, Verdict
from deployments.autoscaling.trace import spec_line
from tests.deployments.autoscaling.seen import queue, replica, spec

APP = "app-of-this-test"
CONFIG = AutoscalingConfig(interval_seconds=0.001)
DEPLOYMENT = DeploymentID(name="worker:tiny:default", app_name=APP)
ONE, TWO = (ReplicaID(unique_id=each, deployment_id=DEPLOYMENT) for each in ("one", "two"))


def to_five(history: History, specs: Sequence[PoolSpec], now: float, stale: float) -> Decision:
    last = {each.name: history.samples[each.name][-1] for each in specs}
    return Decision(
        now, {name: Verdict(each.target, 5, "none", (Reason("load", 5, "x"),)) for name, each in last.items()}
    )


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[Round]:
    told: list[Round] = []
    monkeypatch.setitem(conductors._CONDUCTORS, APP, Conductor(CONFIG, to_five, told.append))
    return told


def context(target: int = 1, **facts: Any) -> AutoscalingContext:
    known: dict[str, Any] = {
        "deployment_id": DEPLOYMENT,
        "deployment_name": DEPLOYMENT.name,
        "app_name": APP,
        "current_num_replicas": 2,
        "target_num_replicas": target,
        "running_replicas": [ONE, TWO],
        "total_num_requests": 0.0,
        "total_queued_requests": 0.0,
        "aggregated_metrics": None,
        "raw_metrics": {},
        "capacity_adjusted_min_replicas": 1,
        "capacity_adjusted_max_replicas": 7,
        "policy_state": {},
        "last_scale_up_time": None,
        "last_scale_down_time": None,
        "current_time": None,
        "config": None,
    }
    return AutoscalingContext(**{**known, **facts})


def told(replica: ReplicaID, numbers: dict[str, float], at: float = 10.0) -> dict[str, Any]:
    return {
        name: {replica: [TimeStampedValue(at - 1, -1.0), TimeStampedValue(at, value)]}
        for name, value in numbers.items()
    }


def pool_policy() -> PoolPolicy:
    return PoolPolicy(APP, CONFIG.model_dump(mode="json"), spec_line(spec()))


def asked(policy: PoolPolicy, context: AutoscalingContext, rounds: list[Round]) -> int:
    """The number behind the next round."""
    seen, deadline = len(rounds), time.monotonic() + 5
    while len(rounds) == seen and time.monotonic() < deadline:
        policy(context)
    return policy(context)[0]


def test_ray_serve_says_what_is_known_of_a_pool() -> None:
    report = replica(load=0.7)
    sight = sight_of(context(3, raw_metrics=told(ONE, report.as_numbers()), total_queued_requests=1.2))
    assert sight.replicas == {ONE.to_full_id_str(): report, TWO.to_full_id_str(): None}
    assert (sight.target, sight.least, sight.most, sight.queued) == (3, 1, 7, 2)


def test_a_pool_gets_what_is_decided(rounds: list[Round]) -> None:
    policy = pool_policy()
    assert asked(policy, context(), rounds) == 5
    assert rounds[-1].samples[spec().name].replicas == 2


def test_what_the_gateways_report_reaches_the_pools(rounds: list[Round]) -> None:
    policy, gateway = pool_policy(), GatewayPolicy(APP, CONFIG.model_dump(mode="json"))
    numbers = queue(time.time(), waiting=9, backlog=90.0).as_numbers(spec().group)
    assert gateway(context(2, raw_metrics=told(ONE, numbers))) == (2, {})
    asked(policy, context(), rounds)
    assert rounds[-1].samples[spec().name].waiting == 9


class Broken:
    """A context of which nothing but the number of replicas can be read."""

    target_num_replicas = 3

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("autoscaling", [{}, {"interval_seconds": "soon"}])
@pytest.mark.parametrize("pool", ["", "{}", spec_line(spec())])
def test_nothing_that_goes_wrong_gets_out(rounds: list[Round], autoscaling: dict[str, Any], pool: str) -> None:
    broken: Any = Broken()
    gateway, policy = GatewayPolicy(APP, autoscaling), PoolPolicy(APP, autoscaling, pool)
    for _ in range(3):
        assert gateway(broken) == (3, {})
        assert policy(broken) == (3, {})


def test_a_pool_that_ray_lets_go_of_is_forgotten(rounds: list[Round]) -> None:
    conductor = conductors._CONDUCTORS[APP]
    first, second = pool_policy(), pool_policy()
    del first
    gc.collect()
    assert conductor.pools == (spec().name,)
    del second
    gc.collect()
    assert not conductor.pools


def test_ray_carries_the_policies_to_its_controller(rounds: list[Round]) -> None:
    for made in (gateway_autoscaling(APP, CONFIG, 2), pool_autoscaling(APP, CONFIG, spec(least=2, most=4))):
        policy = made.policy
        carried = AutoscalingPolicy.from_serialized_policy_def(policy.model_dump(), policy.get_serialized_policy_def())
        answer, state = carried.get_policy()(**json.loads(json.dumps(policy.policy_kwargs)))(context(2))
        assert (answer, state) == (2, {})


def test_ray_serve_decides_nothing_by_itself() -> None:
    made = pool_autoscaling(APP, AutoscalingConfig(interval_seconds=2.0), spec(least=0, most=4))
    assert (made.min_replicas, made.max_replicas, made.initial_replicas) == (0, 4, None)
    assert (made.upscale_delay_s, made.downscale_delay_s, made.downscale_to_zero_delay_s) == (0.0, 0.0, 0.0)
    assert (made.get_upscaling_factor(), made.get_downscaling_factor()) == (1.0, 1.0)
    assert made.look_back_period_s > made.metrics_interval_s == 2.0
    fixed = gateway_autoscaling(APP, CONFIG, 3)
    assert (fixed.min_replicas, fixed.max_replicas) == (3, 3)
    assert SimpleNamespace(**made.policy.policy_kwargs).spec == spec_line(spec(least=0, most=4))
