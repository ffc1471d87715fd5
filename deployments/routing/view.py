"""What one gateway knows of the replicas of one pool: what they said last, and what it has sent them since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from deployments.pools.pool import Forecast
from deployments.routing.account import Account
from deployments.routing.choice import Choice, choose
from deployments.routing.pace import Pace
from deployments.routing.score import ReplicaView, reference_rate
from deployments.routing.work import Demand
from deployments.run import Figures, Progress
from dllm_worker.request import Finish

STALE_SECONDS = 5.0


class IntegrityError(RuntimeError):
    """The view no longer adds up; the message says where."""


@dataclass(slots=True)
class _Flight:
    """A run on its way: where it was sent last, and when it got its place in the batch."""

    demand: Demand
    replica: str = ""
    admitted_at: float | None = None


class PoolView:
    """The replicas of a pool, as this gateway sees them. Any thread may call any method.

    A run is expected first, then sent (again, when a replica refuses it), heard of, and ended. It counts at the replica
    that it was sent to last, until it ends; what is told of a run that is not expected, or not any more, is ignored. So
    nothing is left of a run that has ended, in whatever order the threads tell. A replica that is no longer offered
    keeps its account until its last run has ended.

    ``clock`` is in seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float], random: Random, stale_seconds: float = STALE_SECONDS) -> None:
        self._clock, self._random = clock, random
        self._stale_seconds = stale_seconds
        self._lock = threading.Lock()
        self._offered: frozenset[str] | None = None
        self._accounts: dict[str, Account] = {}
        self._flights: dict[str, _Flight] = {}
        self._pace = Pace()

    @property
    def pace(self) -> Pace:
        """What the runs that have ended tell of the next ones."""
        return self._pace

    @property
    def in_flight(self) -> int:
        """Runs that are expected and have not ended."""
        return len(self._flights)

    def offer(self, replicas: Iterable[str]) -> None:
        """These, and no others, take new runs."""
        with self._lock:
            self._offered = frozenset(replicas)
            for replica in self._offered:
                self._account(replica)
            for replica in list(self._accounts):
                self._forget(replica)

    def offered(self, replica: str) -> bool:
        """Whether the replica takes new runs. As long as nobody has said which do, it is those that were heard of."""
        return replica in (self._accounts if self._offered is None else self._offered)

    @property
    def any_offered(self) -> bool:
        """Whether a replica takes new runs, as far as anybody has said."""
        return self._offered is None or bool(self._offered)

    @property
    def replicas(self) -> int:
        """How many replicas take new runs."""
        return len(self._accounts if self._offered is None else self._offered)

    def observe(self, replica: str, figures: Figures) -> None:
        """The replica says this of itself at this moment."""
        with self._lock:
            self._account(replica).observe(figures, self._clock())
            self._forget(replica)

    def publish(self, replica: str, figures: Figures) -> None:
        """Somebody else repeats what the replica said of itself some time ago. Told again unchanged, it is no news."""
        with self._lock:
            self._account(replica).publish(figures, self._clock())
            self._forget(replica)

    def expect(self, demand: Demand) -> None:
        """A run begins; it may be sent now."""
        with self._lock:
            self._flights[demand.key] = _Flight(demand)

    def sent(self, replica: str, demand: Demand) -> None:
        """The run goes to this replica, and to none that it was sent to before."""
        with self._lock:
            flight = self._flights.get(demand.key)
            if flight is not None:
                self._place(flight, replica)

    def heard(self, demand: Demand, progress: Progress) -> None:
        """A message of the run came."""
        now = self._clock()
        with self._lock:
            flight = self._flights.get(demand.key)
            if flight is None:
                return
            if progress.replica:
                self._place(flight, progress.replica)
            if flight.replica:
                account = self._account(flight.replica)
                if progress.figures is not None:
                    account.observe(progress.figures, now)
                account.answered(demand.key)
            if progress.admitted and flight.admitted_at is None:
                flight.admitted_at = now
            self._learn(flight, progress, now)

    def ended(self, demand: Demand) -> None:
        """The run is over, in whatever way."""
        with self._lock:
            flight = self._flights.pop(demand.key, None)
            if flight is not None and flight.replica:
                self._account(flight.replica).ended(demand.key)
                self._forget(flight.replica)

    def choose(self, demand: Demand, replicas: Iterable[str]) -> Choice:
        """The replica of ``replicas``, at least one, that the run had best go to."""
        with self._lock:
            accounts = self._accounts
            views = [accounts[name].view if name in accounts else ReplicaView(name) for name in replicas]
            return choose(views, demand, self._clock() - self._stale_seconds, self._random)

    def forecast(self, demand: Demand) -> Forecast | None:
        """What a run would meet where it waits least; ``None`` before any has ended, and without a replica whose rate
        is known.

        No wait is foretold at a replica that was silent for long and has no run of this gateway's.
        """
        with self._lock:
            accounts = [account for name, account in self._accounts.items() if self.offered(name)]
            if not self._pace.rate or not any(account.view.rate for account in accounts):
                return None
            reference = reference_rate([account.view for account in accounts])
            wait = min(self._first_step(account, reference) for account in accounts)
            return Forecast(wait, demand.work / self._pace.rate)

    def gap(self, replica: str, demand: Demand) -> float:
        """Seconds by which the run's replica, without it, has more to do than the least loaded of the others."""
        with self._lock:
            own = self._accounts.get(replica)
            others = [a.view for name, a in self._accounts.items() if self.offered(name) and name != replica]
            if own is None or not others:
                return 0.0
            reference = reference_rate([own.view, *others])
            wait = max(0.0, own.backlog - own.own(demand.key)) / own.view.speed(reference)
            return wait - min(view.wait(reference) for view in others)

    def check_integrity(self) -> None:
        """Raise :class:`IntegrityError` unless every run counts at exactly the replica that it was sent to last."""
        with self._lock:
            placed = {(flight.replica, key) for key, flight in self._flights.items() if flight.replica}
            counted = {(name, key) for name, a in self._accounts.items() for key in (*a.unseen, *a.seen)}
            if placed != counted:
                raise IntegrityError(f"sent {sorted(placed)}, counted {sorted(counted)}")
            for name, account in self._accounts.items():
                if account.unseen.keys() & account.seen.keys() or not account.known <= account.unseen.keys():
                    raise IntegrityError(f"{name} counts a run twice")
                if not self.offered(name) and not account.in_flight:
                    raise IntegrityError(f"{name} is neither offered nor has it runs")

    def _account(self, replica: str) -> Account:
        account = self._accounts.get(replica)
        if account is None:
            account = self._accounts[replica] = Account(replica)
        return account

    def _forget(self, replica: str) -> None:
        if not self.offered(replica) and not self._accounts[replica].in_flight:
            del self._accounts[replica]

    def _place(self, flight: _Flight, replica: str) -> None:
        if flight.replica == replica:
            return
        if flight.replica:
            self._account(flight.replica).ended(flight.demand.key)
            self._forget(flight.replica)
        flight.replica = replica
        self._account(replica).sent(flight.demand.key, flight.demand.work)

    def _learn(self, flight: _Flight, progress: Progress, now: float) -> None:
        for event in progress.events:
            if isinstance(event, Finish) and event.reason in ("stop", "length") and flight.admitted_at is not None:
                self._pace = self._pace.after(event.usage, flight.demand.work, now - flight.admitted_at)

    def _first_step(self, account: Account, reference: float) -> float:
        heard = account.observed_at is not None and account.observed_at >= self._clock() - self._stale_seconds
        if account.places or not (heard or account.in_flight):
            return 0.0
        return account.view.wait(reference)
