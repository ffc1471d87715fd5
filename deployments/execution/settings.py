"""What an operator may set of the execution of requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """Times in seconds.

    ``write_seconds`` bounds one write to the store, ``accept_seconds`` how long a request that has to be stored waits
    for it. A gateway renews its leases three times in ``lease_seconds`` and
    looks for expired ones of others each ``takeover_seconds``. ``patience_seconds`` is how long an admitted request
    waits for a replica, and how long the end of a durable one waits for a store.
    """

    write_seconds: float = 0.5
    accept_seconds: float = 2.0
    lease_seconds: float = 15.0
    takeover_seconds: float = 2.0
    patience_seconds: float = 60.0
