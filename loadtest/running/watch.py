"""Somebody who looks at the queues while the load lasts."""

from __future__ import annotations

from collections.abc import Callable

from cluster.client.admin import AdminClient
from cluster.client.errors import ClientError

LOOK_SECONDS = 2.0


class Watch:
    """``max_lag`` is the furthest that two backlogged tenants' counters were seen apart, ``None`` before a look."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self.max_lag: float | None = None

    def look(self) -> None:
        """Once. That nobody answers is no finding: the requests themselves tell of it."""
        try:
            lags = [queue.max_lag for queue in self._admin.queues().data]
        except ClientError:
            return
        self.max_lag = max([self.max_lag or 0.0, *lags])

    def keep_looking(self, sleep: Callable[[float], object]) -> None:
        """Does not return."""
        while True:
            self.look()
            sleep(LOOK_SECONDS)
