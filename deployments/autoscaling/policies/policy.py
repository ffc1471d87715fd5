"""What a policy is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

STALE = "stale"
"""The signal of a reason that asks for what there is, because something is not known."""


class Policy(Protocol):
    """Says how many replicas each of its signals asks for; the pool gets the most of these.

    There is at least one of ``samples``, the oldest first; the last one is not older than what counts as fresh. Their
    figures are finite and not negative. A policy is pure: it neither waits nor remembers. Without a reason the pool
    stays as it is.
    """

    def __call__(self, samples: Sequence[PoolSample], spec: PoolSpec, now: float, /) -> Sequence[Reason]: ...


def all_of(*policies: Policy) -> Policy:
    """The reasons of all ``policies``."""

    def reasons(samples: Sequence[PoolSample], spec: PoolSpec, now: float) -> Sequence[Reason]:
        return [reason for policy in policies for reason in policy(samples, spec, now)]

    return reasons


def held(sample: PoolSample, text: str) -> list[Reason]:
    """What a signal says that is not known: the pool shall not shrink."""
    return [Reason(STALE, sample.target, f"{text}: held")]
