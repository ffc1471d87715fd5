"""All pools of an application together: who is asked for a pool's size gathers what is known of it, and each interval
the sizes of all are decided. A state machine without a clock of its own.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from deployments.autoscaling.config import AutoscalingConfig
from deployments.autoscaling.deliberation import Begin, Deciding, at_once
from deployments.autoscaling.observe import PoolSight, Queues, least_busy, pool_sample
from deployments.autoscaling.report import QueueReport, ReplicaReport
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec, Verdict

logger = logging.getLogger(__name__)

Decide = Callable[[History, Sequence[PoolSpec], float, float], Decision]
"""As :func:`deployments.autoscaling.decide.decide`."""

HELD_INTERVALS = 3
"""A decision holds for so many intervals; behind them a pool stays as it is until the next one."""


@dataclass(frozen=True, slots=True)
class Round:
    """The pools at a moment, and what was decided of them; ``None`` when that failed."""

    at: float
    specs: tuple[PoolSpec, ...]
    samples: Mapping[str, PoolSample]
    decision: Decision | None


@dataclass(slots=True)
class _Seat:
    """A pool that takes part. ``token`` is that of its last registration."""

    spec: PoolSpec
    token: object
    samples: deque[PoolSample] = field(default_factory=deque)
    reports: Mapping[str, ReplicaReport] = field(default_factory=dict)


class Conductor:
    """Used by one thread. ``decide`` runs where ``begin`` has it run; what it raises changes no pool, and while it
    takes its time the last decision holds. ``tell`` is called with each round, and may not block. Times are in Unix
    seconds.

    A round begins when the interval is over. Whoever asks in it is looked at, once; when the first one asks again, all
    that ask at all have been seen, and the round is decided.
    """

    def __init__(
        self, config: AutoscalingConfig, decide: Decide, tell: Callable[[Round], None], begin: Begin = at_once
    ) -> None:
        self._config, self._decide, self._tell, self._begin = config, decide, tell, begin
        self._pending: tuple[Round, Future[Decision | None]] | None = None
        self._seats: dict[str, _Seat] = {}
        self._queues = Queues(config.stale_seconds)
        self._decisions: deque[Decision] = deque()
        self._verdicts: Mapping[str, Verdict] = {}
        self._closed_at = self._decided_at = -math.inf
        self._seen: set[str] = set()

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of those that take part."""
        return tuple(self._seats)

    def configure(self, config: AutoscalingConfig) -> None:
        """Go on with ``config``; what has been seen is kept."""
        self._config = config
        self._queues.stale_seconds = config.stale_seconds

    def register(self, spec: PoolSpec) -> object:
        """Have a pool take part, as ``spec`` says from now on; the token is for :meth:`forget`."""
        token = object()
        if spec.name in self._seats:
            self._seats[spec.name].spec, self._seats[spec.name].token = spec, token
        else:
            self._seats[spec.name] = _Seat(spec, token)
        return token

    def forget(self, name: str, token: object) -> None:
        """The pool is gone, unless it has been registered anew since."""
        if name in self._seats and self._seats[name].token is token:
            del self._seats[name]
            self._seen.discard(name)

    def hear(self, gateways: Mapping[str, Mapping[str, QueueReport]]) -> None:
        """What all gateways that there are have reported last, by gateway and queue."""
        self._queues.hear(gateways)

    def target(self, name: str, present: int, look: Callable[[], PoolSight], now: float) -> int | None:
        """How many replicas the pool shall have where ``present`` are wanted; ``None`` leaves it at that. ``look`` is
        called once in a round.

        Who else changes the number, as Ray Serve does for a request that waits where there is no replica, knew more
        than the last decision, which then is none.
        """
        if name not in self._seats:
            return None
        self._conclude()
        # A clock that was set back begins a round, too.
        if self._pending is None and not 0 <= now - self._closed_at < self._config.interval_seconds:
            if name in self._seen:
                self._close(now)
            else:
                self._observe(self._seats[name], look(), now)
        verdict = self._verdicts.get(name)
        if verdict is None or not 0 <= now - self._decided_at <= HELD_INTERVALS * self._config.interval_seconds:
            return None
        return verdict.after if present in (verdict.before, verdict.after) else None

    def least_busy(self, replicas: Sequence[str]) -> list[str]:
        """``replicas`` in the order in which they are best stopped: those with least work in flight first."""
        reports = {name: report for seat in self._seats.values() for name, report in seat.reports.items()}
        return least_busy(reports, replicas)

    def _observe(self, seat: _Seat, sight: PoolSight, now: float) -> None:
        queue = self._queues.load(seat.spec, now)
        seat.samples.append(pool_sample(now, sight, queue, self._config.stale_seconds, seat.reports))
        seat.reports = {name: report for name, report in sight.replicas.items() if report is not None}
        oldest = now - self._config.history_seconds
        while seat.samples[0].at < oldest:
            seat.samples.popleft()
        self._seen.add(seat.spec.name)

    def _close(self, now: float) -> None:
        """Have the round decided, and begin to wait for the next one."""
        seats = [self._seats[name] for name in self._seats if name in self._seen]
        self._closed_at = now
        self._seen.clear()
        specs = tuple(seat.spec for seat in seats)
        told = Round(now, specs, {seat.spec.name: seat.samples[-1] for seat in seats}, None)
        self._pending = told, self._begin(self._deciding(now))
        self._conclude()

    def _conclude(self) -> None:
        """Take over what has been decided of the last round, if it has."""
        if self._pending is None or not self._pending[1].done():
            return
        (told, future), self._pending = self._pending, None
        decision, self._verdicts = future.result(), {}
        if decision is not None:
            self._verdicts, self._decided_at = decision.verdicts, told.at
            self._decisions.append(decision)
            while self._decisions[0].at < told.at - self._config.history_seconds:
                self._decisions.popleft()
        self._tell(replace(told, decision=decision))

    def _deciding(self, now: float) -> Deciding:
        history = History({name: tuple(seat.samples) for name, seat in self._seats.items()}, tuple(self._decisions))
        specs, stale_seconds = tuple(seat.spec for seat in self._seats.values()), self._config.stale_seconds

        def decided() -> Decision | None:
            try:
                return self._decide(history, specs, now, stale_seconds)
            except Exception:
                logger.exception("no decision about the size of pools; they stay as they are")
                return None

        return decided
