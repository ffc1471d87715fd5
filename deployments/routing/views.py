"""The views of this process, one for each pool: the router and the pool's client meet here."""

from __future__ import annotations

import threading
import time
from random import Random

from deployments.routing.view import PoolView

_VIEWS: dict[tuple[str, str], PoolView] = {}
_LOCK = threading.Lock()


def view_of(app: str, deployment: str) -> PoolView:
    """The view of a Ray Serve deployment; the first who asks for it makes it."""
    with _LOCK:
        if (app, deployment) not in _VIEWS:
            _VIEWS[app, deployment] = PoolView(time.monotonic, Random())  # noqa: S311
        return _VIEWS[app, deployment]
