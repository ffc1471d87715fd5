"""The election as decisions: every interleaving of candidates, lost requests, conflicts and differing clocks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from cluster.kubernetes.lease import Bid, Election, Lease, Record, Timing

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMING = Timing(duration=15, renew_deadline=10.0, retry_period=2.0)
FASTEST = 1.5
"""By how much one clock may run faster than another: duration to renew deadline."""


def record(holder: str, renewed: datetime = NOON, transitions: int = 0) -> Record:
    return Record(holder, 15, NOON, renewed, transitions)


def elected(now: float = 0.0) -> Election:
    election = Election("a", TIMING)
    election.read(None, now)
    bid = election.bid(now, NOON)
    assert bid is not None
    election.won(bid, "1", now)
    return election


def test_a_candidate_leads_when_there_is_no_lease_and_its_own_was_written() -> None:
    election = Election("a", TIMING)
    assert election.must_read
    assert election.bid(0.0, NOON) is None
    election.read(None, 0.0)
    bid = election.bid(0.0, NOON)
    assert bid == Bid(Record("a", 15, NOON, NOON, 0), None)
    assert not election.leads(0.0)
    election.won(bid, "1", 0.0)
    assert election.leads(9.9)
    assert election.holder == "a"


def test_a_leader_that_cannot_renew_stops_by_its_own_clock() -> None:
    election = elected()
    election.lost()
    assert election.leads(9.9)
    assert not election.leads(10.0)


def test_a_renewal_counts_from_before_the_request() -> None:
    election = elected()
    bid = election.bid(4.0, NOON + timedelta(seconds=4))
    assert bid is not None
    assert (bid.over, bid.record.acquired, bid.record.transitions) == ("1", NOON, 0)
    election.won(bid, "2", 4.0)
    assert election.leads(13.9)
    assert not election.leads(14.0)


def test_a_lease_of_another_is_left_until_it_was_not_renewed_for_its_whole_duration_as_seen_here() -> None:
    election = Election("b", TIMING)
    long_ago = NOON - timedelta(days=1)
    election.read(Lease(record("a", long_ago), "1"), 100.0)
    assert election.bid(114.9, NOON) is None
    election.read(Lease(record("a", long_ago), "2"), 114.9)
    assert election.bid(129.8, NOON) is None
    bid = election.bid(129.9, NOON)
    assert bid is not None
    assert (bid.record.holder, bid.record.transitions, bid.over) == ("b", 1, "2")


def test_the_duration_that_counts_is_the_holders() -> None:
    election = Election("b", TIMING)
    election.read(Lease(replace(record("a"), duration=60), "1"), 0.0)
    assert election.bid(59.9, NOON) is None
    assert election.bid(60.0, NOON) is not None


def test_a_released_lease_is_taken_at_once() -> None:
    election = Election("b", TIMING)
    election.read(Lease(Record("", 1, NOON, NOON, 3), "7"), 0.0)
    bid = election.bid(0.0, NOON)
    assert bid is not None
    assert (bid.record.holder, bid.record.transitions, bid.over) == ("b", 4, "7")


def test_who_resigns_leads_no_longer_even_if_the_release_is_never_written() -> None:
    election = elected()
    bid = election.resign(NOON)
    assert not election.leads(0.0)
    assert bid is not None
    assert (bid.record.holder, bid.record.duration, bid.over) == ("", 1, "1")


def test_who_does_not_know_the_lease_releases_nothing() -> None:
    election = elected()
    election.lost()
    assert election.resign(NOON) is None
    assert Election("b", TIMING).resign(NOON) is None


def test_a_leader_that_reads_anothers_name_stops_at_once() -> None:
    election = elected()
    election.lost()
    election.read(Lease(record("b"), "2"), 1.0)
    assert not election.leads(1.0)


def test_a_candidate_that_finds_its_own_name_leads_only_after_a_renewal() -> None:
    election = Election("a", TIMING)
    election.read(Lease(record("a", transitions=2), "5"), 0.0)
    assert not election.leads(0.0)
    bid = election.bid(0.0, NOON + timedelta(seconds=1))
    assert bid is not None
    assert (bid.record.transitions, bid.record.acquired) == (2, NOON)
    election.won(bid, "6", 0.0)
    assert election.leads(0.0)


def test_no_renewal_leaves_the_lease_as_it_is_even_if_the_wall_clock_stands_still() -> None:
    election = elected()
    bid = election.bid(2.0, NOON)
    assert bid is not None
    assert bid.record.renewed == NOON + timedelta(microseconds=1)


def test_the_record_is_the_lease_of_the_api_with_six_digits() -> None:
    spec = record("a", NOON + timedelta(milliseconds=5), 2).spec()
    assert spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-11-22T12:00:00.000000Z",
        "renewTime": "2026-11-22T12:00:00.005000Z",
        "leaseTransitions": 2,
    }
    assert Record.read(spec) == record("a", NOON + timedelta(milliseconds=5), 2)
    assert Record.read({}) == Record("", 0, None, None, 0)


@pytest.mark.parametrize("timing", [(10, 10.0, 2.0), (15, 2.0, 2.0), (15, 10.0, 0.0)])
def test_a_timing_that_leaves_no_margin_is_refused(timing: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="renew deadline"):
        Timing(*timing)


@dataclass(eq=False)
class Candidate:
    """A candidate with its clock, ``now = offset + rate * real``, and what it waits for."""

    election: Election
    offset: float
    rate: float
    waits_for: Sent | None = None

    def now(self, real: float) -> float:
        return self.offset + self.rate * real


@dataclass(frozen=True, eq=False)
class Sent:
    """A request on its way: to read the Lease, or to write a bid."""

    candidate: Candidate
    asked: float
    bid: Bid | None


@dataclass(frozen=True, eq=False)
class Answered:
    """An answer on its way back: the Lease that was read, or the version that was written (None for a refusal)."""

    sent: Sent
    lease: Lease | None
    version: str | None


class Elections(RuleBasedStateMachine):
    """
    Two candidates, one Lease, and a network that delays, reorders and loses. Each waits for one answer at a time;
    what it has given up on may still take effect. Who has resigned may stand again.
    """

    sent, answered = Bundle("sent"), Bundle("answered")

    def __init__(self) -> None:
        super().__init__()
        self.real = 0.0
        self.lease: Lease | None = None
        self.version = 0
        self.candidates: list[Candidate] = []

    @initialize(rates=st.permutations([1.0, FASTEST]))
    def stand(self, rates: list[float]) -> None:
        for number, rate in enumerate(rates):
            self.candidates.append(Candidate(Election(f"candidate-{number}", TIMING), 1000.0 * number, rate))

    @rule(seconds=st.sampled_from([0.1, 4.0, 15.0]))
    def pass_time(self, seconds: float) -> None:
        self.real += seconds

    @rule(target=sent, number=st.integers(0, 1), skew=st.sampled_from([0, -3600]))
    def ask(self, number: int, skew: int) -> Sent | MultipleResults[Sent]:
        candidate = self.candidates[number]
        bid = candidate.election.bid(candidate.now(self.real), NOON + timedelta(seconds=skew))
        return self._send(candidate, bid)

    @rule(target=sent, number=st.integers(0, 1))
    def resign(self, number: int) -> Sent | MultipleResults[Sent]:
        candidate = self.candidates[number]
        if candidate.waits_for is not None:
            return multiple()
        bid = candidate.election.resign(NOON)
        return multiple() if bid is None else self._send(candidate, bid)

    @rule(number=st.integers(0, 1), skew=st.sampled_from([0, -3600]), seconds=st.sampled_from([0.0, 9.9]))
    def try_and_be_answered(self, number: int, skew: int, seconds: float) -> None:
        """What a candidate does at its leisure: read unless it leads, and bid, with time passing behind it."""
        candidate = self.candidates[number]
        if candidate.waits_for is not None:
            return
        if not candidate.election.leads(candidate.now(self.real)):
            self.come_back(self.arrive(self._sent(candidate, None)))
        bid = candidate.election.bid(candidate.now(self.real), NOON + timedelta(seconds=skew))
        if bid is not None:
            self.come_back(self.arrive(self._sent(candidate, bid)))
        self.real += seconds

    @rule(target=answered, request=consumes(sent))
    def arrive(self, request: Sent) -> Answered:
        if request.bid is None:
            return Answered(request, self.lease, None)
        if request.bid.over != (None if self.lease is None else self.lease.version):
            return Answered(request, None, None)
        if self.lease is None or request.bid.record != self.lease.record:
            self.version += 1
            self.lease = Lease(request.bid.record, str(self.version))
        return Answered(request, None, self.lease.version)

    @rule(answer=consumes(answered))
    def come_back(self, answer: Answered) -> None:
        candidate = answer.sent.candidate
        if candidate.waits_for is not answer.sent:
            return
        candidate.waits_for = None
        if answer.sent.bid is None:
            candidate.election.read(answer.lease, candidate.now(self.real))
        elif answer.version is None:
            candidate.election.lost()
        else:
            candidate.election.won(answer.sent.bid, answer.version, answer.sent.asked)

    @rule(number=st.integers(0, 1))
    def give_up(self, number: int) -> None:
        candidate = self.candidates[number]
        if candidate.waits_for is not None:
            candidate.waits_for = None
            candidate.election.lost()

    @invariant()
    def at_most_one_leads(self) -> None:
        leading = [each.election.identity for each in self.candidates if each.election.leads(each.now(self.real))]
        assert len(leading) <= 1, leading

    def _send(self, candidate: Candidate, bid: Bid | None) -> Sent | MultipleResults[Sent]:
        return multiple() if candidate.waits_for is not None else self._sent(candidate, bid)

    def _sent(self, candidate: Candidate, bid: Bid | None) -> Sent:
        candidate.waits_for = Sent(candidate, candidate.now(self.real), bid)
        return candidate.waits_for


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.full)])
def test_at_most_one_leads_whatever_happens(examples: int) -> None:
    run_state_machine_as_test(
        Elections, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )
