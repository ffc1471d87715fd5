"""A pool in virtual time."""

from __future__ import annotations

import pytest

from cluster.autoscaling.pool_model import PoolModel, ReplicaModel

MODEL = ReplicaModel(places=2, positions=10, steps=5, floor_seconds=0.5, position_seconds=0.025)
"""A step of one request takes 0.75 s, of two 1 s."""


def test_a_fuller_replica_does_more_and_each_request_takes_longer() -> None:
    assert MODEL.rate(2) == 20.0
    assert MODEL.rate(1) == pytest.approx(10 / 0.75)
    assert MODEL.load(2) == 1.0
    assert MODEL.load(1) == pytest.approx(2 / 3)
    assert MODEL.requests_per_second == 0.4


def test_requests_run_in_places_and_the_others_wait() -> None:
    pool = PoolModel(MODEL, [0.0, 0.0, 0.0], 1, 10.0)
    assert pool.advance(4.0) == pytest.approx(1.0)
    assert (pool.running, len(pool.waiting)) == (2, 1)
    assert pool.backlog == pytest.approx(10 * (2 * 1 + 5))
    pool.advance(1.5)
    assert (pool.running, len(pool.waiting)) == (1, 0)
    assert [each.wait for each in pool.begun] == pytest.approx([0.0, 0.0, 5.0])
    assert pool.advance(10.0) == pytest.approx((3.75 - 0.5) * (2 / 3) / 10.0)
    assert (pool.running, pool.backlog) == (0, 0.0)


def test_replicas_come_after_the_cold_start_and_go_at_once() -> None:
    pool = PoolModel(MODEL, [], 1, 10.0)
    pool.scale(3)
    pool.advance(9.0)
    assert (pool.replicas, pool.target) == (1, 3)
    pool.advance(1.0)
    assert pool.replicas == 3
    pool.scale(2)
    assert (pool.replicas, pool.target) == (2, 2)


def test_of_those_that_go_the_first_are_those_that_are_starting() -> None:
    pool = PoolModel(MODEL, [], 2, 10.0)
    pool.scale(4)
    pool.advance(5.0)
    pool.scale(1)
    assert (pool.replicas, pool.target) == (1, 1)
    pool.advance(20.0)
    assert pool.replicas == 1
    pool.scale(2)
    pool.advance(5.0)
    pool.scale(3)
    pool.scale(2)
    pool.advance(5.0)
    assert pool.replicas == 2, "of those that are starting the last one goes first"


def test_without_replicas_everything_waits() -> None:
    pool = PoolModel(MODEL, [1.0], 0, 3.0)
    assert pool.advance(5.0) == 0.0
    assert len(pool.waiting) == 1
    pool.scale(1)
    pool.advance(10.0)
    assert [each.wait for each in pool.begun] == pytest.approx([7.0])
