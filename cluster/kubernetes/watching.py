"""Objects as they change: listed once, then watched, through every way in which a watch ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cluster.client.retries import Failure, RetryPolicy
from cluster.kubernetes.client import Event, Kubernetes, Selection
from cluster.kubernetes.errors import Gone, KubernetesError, Unreachable
from cluster.kubernetes.objects import Object, name_of, part

BROKEN = RetryPolicy(retries=8, longest_wait=60.0)
"""A server that breaks every watch at once is asked nine times, in some 45 s."""


@dataclass(slots=True)
class View:
    """The selected objects by name, as of ``version``."""

    version: str
    objects: dict[str, Object] = field(default_factory=dict)

    def take(self, event: Event) -> bool:
        """Take over an event; true if objects changed by it."""
        self.version = part(event.object, "metadata").get("resourceVersion", self.version)
        match event.kind:
            case "ADDED" | "MODIFIED":
                self.objects[name_of(event.object)] = event.object
                return True
            case "DELETED":
                return self.objects.pop(name_of(event.object), None) is not None
        return False


def follow(
    kubernetes: Kubernetes,
    selection: Selection,
    tick: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.time,
) -> Iterator[Mapping[str, Object]]:
    """The selected objects by name: at once, after each change, and at least each ``tick`` seconds.

    A watch that ends or breaks goes on where it was; where the server keeps that no longer (410) all are listed again.
    Breaks in a row are waited out with growing back-off and jitter. Raises :class:`KubernetesError` for what does not
    pass.
    """
    view: View | None = None
    broken = 0
    while True:
        if view is None:
            listing = kubernetes.list(selection)
            view = View(listing.version, {name_of(each): each for each in listing.items})
            yield view.objects
        try:
            began, told = clock(), False
            for event in kubernetes.watch(selection, view.version, tick):
                broken, told = 0, True
                if view.take(event):
                    yield view.objects
            if not told and clock() - began < tick / 2:
                raise Unreachable("the watch ended before its time")
            broken = 0
            yield view.objects
        except KubernetesError as error:
            is_gone = isinstance(error, Gone)
            failure = Failure(None if is_gone else error.status, error.headers)
            wait = BROKEN.wait(broken, failure, clock(), draw())
            if wait is None:
                raise
            view = None if is_gone else view
            broken += 1
            sleep(wait)
