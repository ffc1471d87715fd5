"""Ray Serve's default request router, made small.

Serve carries the class of a router by value in the settings of each replica, and its own makes them 110 KB. Ray answers
a call with at most 100 KB; what is larger stays in the object store of the replica's node. After the loss of the head
the new controller asks every replica for its settings, and kills those from which it has none within 30 s, which is
sooner than the nodes' object stores find the new head. By value, a subclass is its name.
"""

from __future__ import annotations

from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter


class PowerOfTwoChoices(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray is not followed
    """Of two replicas drawn at random, the one with fewer requests."""
