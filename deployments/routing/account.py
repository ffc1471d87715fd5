"""The account of one replica: its last figures, corrected for what this gateway has sent and taken back since."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.routing.score import ReplicaView
from deployments.run import Figures

PEAK_HALF_LIFE = 60.0
"""Seconds after which a rate that was reached once counts half."""

DIRECT_SECONDS = 1.5
"""As long as the last figures of the replica's own are not older, what others tell of it is older still."""


@dataclass(slots=True)
class Account:
    """Runs are ``unseen`` as long as the figures cannot hold their work yet; ``known`` ones have been answered.

    A run that ends takes its share of the figures' backlog with it: ``gone`` is what left since the figures came. Work
    is in position-forwards.
    """

    name: str
    figures: Figures = field(default_factory=Figures)
    observed_at: float | None = None
    published: Figures | None = None
    peak: float = 0.0
    gone: float = 0.0
    known: set[str] = field(default_factory=set)
    unseen: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    _view: ReplicaView | None = None

    @property
    def in_flight(self) -> int:
        return len(self.unseen) + len(self.seen)

    @property
    def backlog(self) -> float:
        return max(0.0, self.figures.backlog - self.gone) + sum(self.unseen.values())

    @property
    def places(self) -> int:
        """Places in the batch that nobody is on the way to."""
        return max(0, self.figures.free_places - len(self.unseen))

    @property
    def view(self) -> ReplicaView:
        """All of this as a value."""
        if self._view is None:
            full = self.observed_at is not None and not self.places
            self._view = ReplicaView(
                name=self.name,
                backlog=self.backlog,
                rate=self.figures.rate if full else self.peak,
                full=full,
                in_flight=self.in_flight,
                refresh_due=self.figures.refresh_due,
                prefixes=frozenset(self.figures.prefixes),
                observed_at=self.observed_at,
            )
        return self._view

    def observe(self, figures: Figures, now: float) -> None:
        """The replica's own figures came. New ones hold the work of every run that it had answered before."""
        since, self.observed_at, self._view = self.observed_at, now, None
        faded = 0.0 if since is None else self.peak * 0.5 ** ((now - since) / PEAK_HALF_LIFE)
        self.peak = max(faded, figures.rate)
        if figures == self.figures and since is not None:
            return
        self.figures, self.gone = figures, 0.0
        for key in self.known:
            self.seen[key] = self.unseen.pop(key)
        self.known.clear()

    def publish(self, figures: Figures, now: float) -> None:
        """Others tell of figures. They are news only where they changed and the replica itself has been silent."""
        if figures == self.published:
            return
        self.published = figures
        if self.observed_at is None or now - self.observed_at > DIRECT_SECONDS:
            self.observe(figures, now)

    def sent(self, key: str, work: int) -> None:
        """A run is on its way to the replica."""
        if key not in self.seen:
            self.unseen[key] = work
        self._view = None

    def answered(self, key: str) -> None:
        """The replica has the run: the next figures that differ hold the work of it."""
        if key in self.unseen:
            self.known.add(key)

    def ended(self, key: str) -> None:
        """The run is not there any more."""
        self.gone += self.share(key)
        self.seen.pop(key, None)
        self.unseen.pop(key, None)
        self.known.discard(key)
        self._view = None

    def share(self, key: str) -> float:
        """What of the figures' backlog is taken to be the run's, which is at most what it was sent with."""
        work = self.seen.get(key, 0)
        if not work:
            return 0.0
        left = max(0.0, self.figures.backlog - self.gone)
        return min(float(work), left * work / sum(self.seen.values()))

    def own(self, key: str) -> float:
        """What of the backlog is taken to be the run's."""
        return self.unseen[key] if key in self.unseen else self.share(key)
