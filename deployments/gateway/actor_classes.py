"""From where a gateway has the classes of the actors whose handles it is given."""

from __future__ import annotations

from ray._private.worker import global_worker


def import_actor_classes() -> None:
    """Have Ray import the classes of actors in this process, and ask the head only for those that it cannot import.

    Each proxy gives the gateways a handle of itself. For its class Ray (2.60) asks the head, and holds a lock meanwhile
    for which its thread of messages waits, too. After the loss of a head the answer may take 20 s: as long as that, no
    token that a worker sends is acknowledged, workers wait with all their runs, and are killed for failed checks.
    """
    global_worker.set_load_code_from_local(True)
