"""Leadership against an API server over HTTP: the Lease as it is stored, lost requests, and who leads after them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cluster.client.retries import RetryPolicy
from cluster.kubernetes.client import Kubernetes
from cluster.kubernetes.leadership import JITTER, Leadership, candidacy
from cluster.kubernetes.lease import Election, Timing
from tests.cluster.kubernetes.api_server import ApiServer, api_server

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Time that passes when a test says so; the time of day starts at noon."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.now)


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


@pytest.fixture
def lease(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).replace("_", "-")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kubernetes(server: ApiServer) -> Kubernetes:
    return Kubernetes(server.client(), retries=RetryPolicy(retries=0))


def standing(server: ApiServer, lease: str, clock: Clock, identity: str) -> Leadership:
    return Leadership(
        kubernetes(server),
        "default",
        lease,
        Election(identity, Timing()),
        clock=clock.monotonic,
        wall=clock.wall,
        draw=lambda: 0.5,
    )


def test_the_first_leads_and_the_second_waits_its_turn(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    assert first.step() == Timing().retry_period
    assert second.step() == Timing().retry_period * (1 + JITTER / 2)
    assert (first.leads(), second.leads(), second.holder) == (True, False, "a")
    assert server.read("Lease", lease)["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "leaseTransitions": 0,
        "acquireTime": "2026-11-22T12:00:00.000000Z",
        "renewTime": "2026-11-22T12:00:00.000000Z",
    }


def test_a_renewal_moves_the_renew_time_alone(server: ApiServer, lease: str, clock: Clock) -> None:
    leader = standing(server, lease, clock, "a")
    leader.step()
    before = server.read("Lease", lease)["spec"]
    clock.now = 2.0
    leader.step()
    assert server.read("Lease", lease)["spec"] == {**before, "renewTime": "2026-11-22T12:00:02.000000Z"}


def test_a_leader_renews_without_reading(server: ApiServer, lease: str, clock: Clock) -> None:
    leader = standing(server, lease, clock, "a")
    leader.step()
    server.requests.clear()
    leader.step()
    assert [asked.verb for asked in server.requests.arrived] == ["patch"]


def test_the_lease_changes_hands_when_the_leader_is_gone(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    first.step()
    second.step()
    clock.now = 14.9
    second.step()
    assert not second.leads()
    clock.now = 15.0
    second.step()
    assert (first.leads(), second.leads()) == (False, True)
    spec = server.read("Lease", lease)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)
    first.step()
    assert (first.leads(), first.holder) == (False, "b")


def test_a_lease_that_was_let_go_is_taken_at_once(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    first.step()
    second.step()
    first.resign()
    assert not first.leads()
    assert server.read("Lease", lease)["spec"]["holderIdentity"] == ""
    second.step()
    assert second.leads()


def test_who_does_not_lead_lets_nothing_go(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    first.step()
    second.step()
    second.resign()
    assert server.read("Lease", lease)["spec"]["holderIdentity"] == "a"


@pytest.mark.parametrize("code", [409, 429, 500, 503])
def test_a_refused_renewal_is_tried_again(server: ApiServer, clock: Clock, code: int) -> None:
    leader = standing(server, f"refused-{code}", clock, "a")
    leader.step()
    server.refuse(code, "patch", "leases")
    clock.now = 2.0
    leader.step()
    assert leader.leads()
    leader.step()
    clock.now = 11.9
    assert leader.leads()


def test_what_stands_in_the_way_is_logged_once_for_as_long_as_it_does(
    server: ApiServer, lease: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:

    candidate, other = (standing(server, lease, clock, name) for name in ("a", "b"))
    server.refuse(403, "get", "leases", times=2)
    server.refuse(503, "get", "leases")
    for _ in range(3):
        candidate.step()
    assert [record.getMessage() for record in caplog.records] == [
        f"the lease default/{lease}: the server does not allow this request",
        f"the lease default/{lease}: the server is currently unable to handle the request",
    ]
    caplog.clear()
    held = server.hold("create", "leases")
    with _stepping(candidate):
        held.arrived()
        other.step()
        held.release()
    assert caplog.records == []


def test_a_leader_that_is_cut_off_stops_before_anyone_else_starts(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    first.step()
    second.step()
    for clock.now in (2.0, 4.0, 6.0, 8.0, 9.9):
        server.drop("*", "leases")
        first.step()
        assert first.leads()
    clock.now = 10.0
    assert not first.leads()
    second.step()
    assert not second.leads()


def test_a_lease_whose_making_was_not_answered_is_found_and_kept(server: ApiServer, lease: str, clock: Clock) -> None:
    leader = standing(server, lease, clock, "a")
    server.drop("create", "leases", afterwards=True)
    leader.step()
    assert not leader.leads()
    leader.step()
    assert leader.leads()
    assert server.read("Lease", lease)["spec"]["leaseTransitions"] == 0


def test_a_renewal_whose_answer_was_lost_does_not_depose(server: ApiServer, lease: str, clock: Clock) -> None:
    leader = standing(server, lease, clock, "a")
    leader.step()
    server.drop("patch", "leases", afterwards=True)
    clock.now = 8.0
    leader.step()
    leader.step()
    clock.now = 17.9
    assert leader.leads()


def test_of_two_that_bid_for_the_same_version_one_wins(server: ApiServer, lease: str, clock: Clock) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    third = standing(server, lease, clock, "c")
    third.step()
    first.step()
    clock.now = 15.0
    second.step()
    clock.now = 30.0
    held = server.hold("patch", "leases")
    with _stepping(first):
        held.arrived()
        second.step()
        held.release()
    assert (first.leads(), second.leads()) == (False, True)


def test_a_lease_that_another_made_in_the_meantime_is_not_overwritten(
    server: ApiServer, lease: str, clock: Clock
) -> None:
    first, second = (standing(server, lease, clock, name) for name in ("a", "b"))
    held = server.hold("create", "leases")
    with _stepping(first):
        held.arrived()
        second.step()
        held.release()
    assert (first.leads(), second.leads()) == (False, True)


def test_a_candidate_leads_for_as_long_as_its_block_lasts(server: ApiServer, lease: str) -> None:
    with candidacy(kubernetes(server), "default", lease, "a") as leadership:
        deadline = time.monotonic() + 10.0
        while not leadership.leads():
            assert time.monotonic() < deadline
    assert not leadership.leads()
    assert server.read("Lease", lease)["spec"]["holderIdentity"] == ""


@contextmanager
def _stepping(leadership: Leadership) -> Iterator[None]:
    """A step on a thread of its own, which has ended behind the block."""
    thread = threading.Thread(target=leadership.step)
    thread.start()
    yield
    thread.join()
