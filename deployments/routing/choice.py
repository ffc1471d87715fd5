"""Which replica gets a run. Pure, but for the random source that it is given."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from random import Random
from typing import Literal

from deployments.routing.score import ReplicaView, Score, reference_rate, score
from deployments.routing.work import Demand

SCORED = 8
"""So many candidates of the least wait are scored, and as many of those that have a part of the prompt."""

TIE_SECONDS = 1e-3
TIE_SHARE = 0.02
"""Totals that are no further apart than this, or than this share of the wait, are as good as equal."""

_Waiting = tuple[float, ReplicaView]
"""The wait at a replica in seconds, and the replica."""

Rule = Literal["score", "two choices", "stale"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A replica that was looked at; without a score where the figures are stale."""

    view: ReplicaView
    score: Score | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """``candidates``, best first. ``rule`` says how the first one was found.

    By the least score; by the fewer runs in flight of two that score alike (``two choices``), or of two at random,
    since nothing was heard from any replica of late (``stale``).
    """

    key: str
    candidates: tuple[Candidate, ...]
    rule: Rule

    @property
    def replica(self) -> str:
        return self.candidates[0].view.name

    @property
    def ranking(self) -> tuple[str, ...]:
        return tuple(candidate.view.name for candidate in self.candidates)

    @property
    def stale(self) -> bool:
        return self.rule == "stale"

    def explain(self) -> str:
        """One line: the choice, its rule, and every candidate's terms in milliseconds."""
        return f"{self.key} -> {self.replica} by {self.rule}: " + "; ".join(map(_line, self.candidates))


def choose(views: Sequence[ReplicaView], demand: Demand, heard_since: float, random: Random) -> Choice:
    """The replica of ``views`` (at least one) for ``demand``.

    One that the run avoids is a candidate only where there is no other. Figures from before ``heard_since`` are stale:
    a replica with stale ones is scored by the last that it said as long as another one was heard, since its answer to
    the next run brings news; where none was, they decide nothing.
    """
    allowed = [view for view in views if view.name not in demand.avoid] or list(views)
    if not any(view.observed_at is not None and view.observed_at >= heard_since for view in allowed):
        pair = random.sample(allowed, min(2, len(allowed)))
        pair.sort(key=lambda view: view.in_flight)
        return Choice(demand.key, tuple(map(Candidate, pair)), "stale")
    reference = reference_rate(allowed)
    near = _within_reach(allowed, demand, reference, random)
    home = None if demand.affinity is None else _home(near, demand, reference)
    scored = [
        Candidate(view, score(view, demand, reference, home=view is home)) for view in _shortlist(near, demand, home)
    ]
    scored.sort(key=_total)
    return _settle(demand, scored, random)


def _within_reach(views: list[ReplicaView], demand: Demand, reference: float, random: Random) -> list[_Waiting]:
    """Those whose wait is not so long that no saving can make up for it, in an order that differs from run to run."""
    start = random.randrange(len(views))
    waits = [(view.backlog / view.speed(reference), view) for view in views[start:] + views[:start]]
    wait, least = min(waits, key=itemgetter(0))
    limit = wait + _tolerance(wait) + 2 * sum(demand.refresh) / least.speed(reference)
    return [waiting for waiting in waits if waiting[0] <= limit]


def _home(near: list[_Waiting], demand: Demand, reference: float) -> ReplicaView:
    """Where runs of this affinity go: by rendezvous hashing among those whose wait does not exceed what is to be saved.

    Equal affinities rank the replicas alike, so one that is left out moves no runs but its own, and all of them to
    the same next one.
    """
    wait, least = min(near, key=itemgetter(0))
    limit = wait + (demand.refresh[0] if demand.refresh else 0) / least.speed(reference)
    return max((view for wait, view in near if wait <= limit), key=lambda view: _weight(view.name, demand))


def _shortlist(near: list[_Waiting], demand: Demand, home: ReplicaView | None) -> list[ReplicaView]:
    if len(near) <= 2 * SCORED:
        return [view for _, view in near]
    pages = frozenset(demand.pages)
    holding = [waiting for waiting in near if not pages.isdisjoint(waiting[1].prefixes)] if pages else []
    wanted = [*heapq.nsmallest(SCORED, near, itemgetter(0)), *heapq.nsmallest(SCORED, holding, itemgetter(0))]
    views = {view.name: view for _, view in wanted}
    if home is not None:
        views[home.name] = home
    return list(views.values())


def _settle(demand: Demand, scored: list[Candidate], random: Random) -> Choice:
    """Put the less loaded of two that are as good as equal first."""
    limit = _total(scored[0]) + _tolerance(scored[0].score.wait if scored[0].score else 0.0)
    equals = [candidate for candidate in scored if _total(candidate) <= limit]
    if len(equals) == 1:
        return Choice(demand.key, tuple(scored), "score")
    first = min(random.sample(equals, 2), key=lambda candidate: candidate.view.in_flight)
    rest = (candidate for candidate in scored if candidate is not first)
    return Choice(demand.key, (first, *rest), "two choices")


def _tolerance(wait: float) -> float:
    return max(TIE_SECONDS, TIE_SHARE * wait)


def _total(candidate: Candidate) -> float:
    return 0.0 if candidate.score is None else candidate.score.total


def _weight(replica: str, demand: Demand) -> bytes:
    return blake2b(f"{demand.affinity} {replica}".encode(), digest_size=8).digest()


def _line(candidate: Candidate) -> str:
    view, terms = candidate.view, candidate.score
    if terms is None:
        return f"{view.name} has {view.in_flight} in flight"
    return (
        f"{view.name} {terms.total * 1e3:.1f} ms = wait {terms.wait * 1e3:.1f} + bunching {terms.bunching * 1e3:.1f}"
        f" - locality {terms.locality * 1e3:.1f}"
    )
