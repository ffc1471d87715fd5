"""Policies by the name that the configuration has for them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from types import MappingProxyType

from deployments.autoscaling.config import ObjectiveConfig, ScalingConfig
from deployments.autoscaling.policies.burn import burn
from deployments.autoscaling.policies.load import load
from deployments.autoscaling.policies.policy import Policy, all_of
from deployments.autoscaling.policies.schedule import schedule
from deployments.autoscaling.policies.wait import wait
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

SHIPPED: Mapping[str, Policy] = MappingProxyType(
    {
        "tensor_core": all_of(load, wait),
        "queue_wait": wait,
        "slo": all_of(burn, wait),
        "schedule": schedule,
        "composite": all_of(load, wait, burn),
    }
)

EXAMPLE = PoolSample(at=0.0, replicas=1, target=1, least=1, most=2, reporting=1, load=0.5, waiting=0, backlog=0.0)
EXAMPLE_SPEC = PoolSpec("example", "example", "example", 1, 2, 1, 0.0, ScalingConfig(), ObjectiveConfig())


@cache
def policy_named(name: str) -> Policy:
    """A shipped policy, or the operator's own at ``package.module:name``, tried on one sample.

    Raises :class:`ValueError` that says what is wrong with it.
    """
    if name in SHIPPED:
        return SHIPPED[name]
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(f"policy {name} is none of {', '.join(SHIPPED)}, nor of the form package.module:name")
    try:
        policy: Policy = getattr(import_module(module), attribute)
    except Exception as error:
        raise ValueError(f"policy {name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(policy) or inspect.isclass(policy):
        raise ValueError(f"policy {name} is no function of samples, spec and now")
    try:
        proposed(policy, [EXAMPLE], EXAMPLE_SPEC, 0.0)
    except Exception as error:
        raise ValueError(f"policy {name} fails on a sample: {type(error).__name__}: {error}") from error
    return policy


def proposed(policy: Policy, samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> tuple[Reason, ...]:
    """The policy's reasons. Raises what it raises, and :class:`TypeError` for what are no reasons."""
    reasons = tuple(policy(samples, spec, now))
    for reason in reasons:
        if not isinstance(reason, Reason) or not isinstance(reason.wanted, int):
            raise TypeError(f"{reason!r} is no reason with a whole number of replicas")
    return reasons
