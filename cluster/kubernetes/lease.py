"""Who leads: an election over one Lease of the Kubernetes API, as pure decisions.

The rules are those of the Go client's leader election, so that a Lease means here what it means elsewhere. The official
Python client has them too, but counts by the wall clock of its host, tells a leader that it no longer leads only after
a request has come back, ends at the first connection that is lost, and cannot let go of a Lease at its end.

At most one candidate leads at any moment, if

* the API changes a Lease only for the one who names its latest version, and nobody else writes or deletes it,
* no two candidates have the same identity, and
* no candidate's monotonic clock runs faster than another's by more than the ratio of duration to renew deadline.

Wall clocks may differ and jump, requests may be lost before or after they took effect, and answers may come late: the
leader counts from the moment before it asked, all others from the moment behind the answer that showed a new version.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from cluster.kubernetes.objects import Object

MICROSECOND = timedelta(microseconds=1)
NEVER = -math.inf
RELEASED_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds: how long others leave a Lease to its holder, after how long without a renewal the holder takes
    itself for deposed, and how often it tries.
    """

    duration: int = 15
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry_period > 0:
            raise ValueError("a lease lasts longer than its renew deadline, and that longer than the retry period")


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. Nobody holds it where ``holder`` is empty; ``duration`` is in seconds."""

    holder: str
    duration: int
    acquired: datetime | None
    renewed: datetime | None
    transitions: int

    @classmethod
    def read(cls, spec: Object) -> Self:
        """The record in the ``spec`` of a Lease, of which every part may be absent."""
        return cls(
            spec.get("holderIdentity") or "",
            spec.get("leaseDurationSeconds") or 0,
            _moment(spec.get("acquireTime")),
            _moment(spec.get("renewTime")),
            spec.get("leaseTransitions") or 0,
        )

    def spec(self) -> Object:
        """The ``spec`` of a Lease."""
        moments = {"acquireTime": self.acquired, "renewTime": self.renewed}
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration,
            "leaseTransitions": self.transitions,
            **{name: _micro_time(moment) for name, moment in moments.items() if moment is not None},
        }


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as the API stores it."""

    record: Record
    version: str


@dataclass(frozen=True, slots=True)
class Bid:
    """A record to be written over the version ``over`` of a Lease, or as a new Lease where that is ``None``."""

    record: Record
    over: str | None


class Election:
    """One candidate's view. ``now`` is everywhere in seconds of its monotonic clock, ``wall`` its time of day.

    The candidate reads the Lease while ``must_read``, writes what it is told to bid, and says what came of it.
    """

    def __init__(self, identity: str, timing: Timing) -> None:
        if not identity:
            raise ValueError("a candidate has an identity")
        self.identity = identity
        self.timing = timing
        self.must_read = True
        self._lease: Lease | None = None
        self._seen_at = NEVER
        self._leads_until = NEVER

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last seen; empty where nobody did."""
        return "" if self._lease is None else self._lease.record.holder

    def leads(self, now: float) -> bool:
        """Whether this candidate may act as the leader."""
        return now < self._leads_until

    def read(self, lease: Lease | None, now: float) -> None:
        """The Lease is so, or is not there; ``now`` is the moment behind the answer."""
        # Any change counts as a sign of life, since the version is all that a bid is checked against.
        if lease is None or self._lease is None or lease.version != self._lease.version:
            self._seen_at = now
        self._lease = lease
        self.must_read = False
        if self.holder != self.identity:
            self._leads_until = NEVER

    def bid(self, now: float, wall: datetime) -> Bid | None:
        """What to write at this moment; ``None`` where another holds the Lease, or it has to be read first."""
        if self.must_read:
            return None
        if self._lease is None:
            return Bid(Record(self.identity, self.timing.duration, wall, wall, 0), None)
        known = self._lease.record
        moment = _later(wall, known.renewed)
        if known.holder == self.identity:
            return Bid(replace(known, duration=self.timing.duration, renewed=moment), self._lease.version)
        if known.holder and now < self._seen_at + (known.duration or self.timing.duration):
            return None
        record = Record(self.identity, self.timing.duration, moment, moment, known.transitions + 1)
        return Bid(record, self._lease.version)

    def won(self, bid: Bid, version: str, asked: float) -> None:
        """The bid was written as ``version``; ``asked`` is the moment before the request."""
        self._lease, self._seen_at = Lease(bid.record, version), asked
        self._leads_until = asked + self.timing.renew_deadline if bid.record.holder == self.identity else NEVER

    def lost(self) -> None:
        """The bid was refused, or nobody knows what became of it."""
        self.must_read = True

    def resign(self, wall: datetime) -> Bid | None:
        """Lead no longer, at once; and what to write so that the others need not wait for the Lease to run out."""
        self._leads_until = NEVER
        if self.must_read or self._lease is None or self._lease.record.holder != self.identity:
            return None
        moment = _later(wall, self._lease.record.renewed)
        record = Record("", RELEASED_SECONDS, moment, moment, self._lease.record.transitions)
        return Bid(record, self._lease.version)


def _later(wall: datetime, renewed: datetime | None) -> datetime:
    """``wall``, or another moment where it is that of the last renewal: the API gives a write that changes nothing no
    new version, and the others would not see it.
    """
    return wall + MICROSECOND if wall == renewed else wall


def _micro_time(moment: datetime) -> str:
    """A moment with its six digits, which the API insists on."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
