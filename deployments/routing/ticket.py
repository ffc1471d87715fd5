"""What travels with a call to a replica for the router's eyes, and the router's answer."""

from __future__ import annotations

from collections.abc import Callable

from deployments.routing.work import Demand


class Ticket:
    """Passed as the keyword argument ``ticket`` of a call; the router of the same process sees this very object.

    ``chosen`` is the replica that took the call, as ``ReplicaID.to_full_id_str()`` writes it, or empty as long as none
    has. ``tries`` counts how often the router looked for one. What arrives at the replica is an empty ticket.
    """

    __slots__ = ("chosen", "demand", "tries")

    def __init__(self, demand: Demand | None = None) -> None:
        self.demand = demand
        self.chosen = ""
        self.tries = 0

    def __reduce__(self) -> tuple[Callable[[], Ticket], tuple[()]]:
        return Ticket, ()
