from __future__ import annotations

import pytest

from deployments.errors import (
    Draining,
    InternalError,
    NoReplica,
    Overloaded,
    ReplicaLost,
    ReplicaSilent,
    ReplicasLost,
    ServingError,
)
from deployments.execution.failover import LOSSES, Failover


def test_a_request_whose_replica_died_goes_on_at_once() -> None:
    assert Failover(60.0).wait(ReplicaLost(), 0.0, admitted=True) == 0.0


def test_a_request_that_takes_down_two_replicas_in_one_place_is_not_tried_again() -> None:
    failover = Failover(60.0)
    failover.wait(ReplicaLost(), 0.0, admitted=True)
    with pytest.raises(ReplicasLost):
        failover.wait(ReplicaLost(), 1.0, admitted=True)


def test_a_replica_that_was_only_silent_is_not_blamed_on_a_request() -> None:
    failover = Failover(60.0)
    for _ in range(LOSSES - 1):
        assert failover.wait(ReplicaSilent(), 0.0, admitted=True) == 0.0
    with pytest.raises(ReplicasLost):
        failover.wait(ReplicaSilent(), 0.0, admitted=True)


def test_a_request_that_got_further_in_between_is_not_to_blame() -> None:
    failover = Failover(60.0)
    for _ in range(LOSSES - 1):
        assert failover.wait(ReplicaLost(), 0.0, admitted=True) == 0.0
        failover.progressed()
    with pytest.raises(ReplicasLost):
        failover.wait(ReplicaLost(), 0.0, admitted=True)


@pytest.mark.parametrize("error", [NoReplica(), Overloaded()])
def test_a_new_request_is_refused_at_once_and_an_admitted_one_waits(error: ServingError) -> None:
    with pytest.raises(type(error)):
        Failover(60.0).wait(error, 0.0, admitted=False)
    assert Failover(60.0).wait(error, 0.0, admitted=True) > 0.0


def test_a_draining_replica_sends_even_a_new_request_elsewhere() -> None:
    assert Failover(60.0).wait(Draining(), 0.0, admitted=False) > 0.0


def test_waits_grow_and_end_with_patience() -> None:
    failover = Failover(patience_seconds=10.0)
    waits = [failover.wait(NoReplica(), now, admitted=True) for now in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0)]
    assert waits == sorted(waits)
    assert waits[-1] == 1.0
    with pytest.raises(NoReplica):
        failover.wait(NoReplica(), 10.1, admitted=True)


def test_progress_renews_patience() -> None:
    failover = Failover(patience_seconds=10.0)
    first = failover.wait(NoReplica(), 0.0, admitted=True)
    failover.progressed()
    assert failover.wait(NoReplica(), 60.0, admitted=True) == first


def test_what_another_replica_cannot_mend_is_told() -> None:
    with pytest.raises(InternalError):
        Failover(60.0).wait(InternalError(), 0.0, admitted=True)
