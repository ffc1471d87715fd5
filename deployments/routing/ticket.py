"""What travels with a call to a replica for the router's eyes, and the router's answer."""

from __future__ import annotations

from collections.abc import Callable

from deployments.routing.choice import Candidate, Choice
from deployments.routing.sketch import cached_pages
from deployments.routing.work import Demand
from deployments.run import Route


class Ticket:
    """Passed as the keyword argument ``ticket`` of a call; the router of the same process sees this very object.

    ``choice`` is the router's last one. ``chosen`` is the replica that took the call, as ``ReplicaID.to_full_id_str()``
    writes it, or empty as long as none has, and ``chosen_at`` is when, in Unix seconds. ``tries`` counts how often the
    router looked for one. What arrives at the replica is an empty ticket.
    """

    __slots__ = ("choice", "chosen", "chosen_at", "demand", "tries")

    def __init__(self, demand: Demand | None = None) -> None:
        self.demand = demand
        self.choice: Choice | None = None
        self.chosen = ""
        self.chosen_at = 0.0
        self.tries = 0

    def route(self, pool: str, now: float) -> Route:
        """How the call came to its replica, of ``pool``; ``now`` stands for when, where the router has not said."""
        at, candidate = self.chosen_at or now, self._candidate()
        if candidate is None or candidate.score is None or self.demand is None:
            return Route(pool, at)
        hit = cached_pages(self.demand.pages, candidate.view.prefixes) * self.demand.page_size
        return Route(pool, at, candidate.score.total, hit)

    def _candidate(self) -> Candidate | None:
        candidates = () if self.choice is None else self.choice.candidates
        return next((candidate for candidate in candidates if candidate.view.name == self.chosen), None)

    def __reduce__(self) -> tuple[Callable[[], Ticket], tuple[()]]:
        return Ticket, ()
