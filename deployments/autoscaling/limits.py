"""What keeps a pool from being as large as its signals ask for: pace, panic and bounds.

Each rule takes a number of replicas and gives the number that it permits, with the reason if that is another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from deployments.autoscaling.config import PaceConfig
from deployments.autoscaling.demand import whole
from deployments.autoscaling.past import Past
from deployments.autoscaling.sample import PoolSample, PoolSpec, Reason

PANIC, HOLD, PACE = "panic", "hold", "pace"


@dataclass(frozen=True, slots=True)
class Situation:
    """A pool of ``before`` replicas whose signals ask for ``wanted``."""

    spec: PoolSpec
    sample: PoolSample
    past: Past
    before: int
    wanted: int

    @property
    def panic(self) -> Reason | None:
        """Why the pool is to grow whatever its pace, if it is: what it asked for of late is far more than what runs."""
        config = self.spec.scaling.panic
        mean = fmean([self.wanted, *self.past.wanted(config.window_seconds)])
        running = max(1, self.sample.replicas)
        if mean < config.threshold * running:
            return None
        return Reason(PANIC, min(self.wanted, whole(mean)), f"panic: {mean:.1f} wanted and {running} run")


Ruling = tuple[int, Reason | None]
Rule = Callable[[int, Situation], Ruling]


def stabilised(number: int, situation: Situation) -> Ruling:
    """A change has to be wanted for the whole window; what was wanted before the first decision is what there is."""
    before, scaling = situation.before, situation.spec.scaling
    config = scaling.up if number > before else scaling.down
    window = config.stabilization_seconds
    recent = [number, *situation.past.wanted(window)]
    if not situation.past.covers(window):
        recent.append(before)
    permitted = max(before, min(recent)) if number > before else min(before, max(recent))
    if permitted == number:
        return number, None
    text = f"{number} not wanted for {window:g} s yet" if number > before else f"{permitted} wanted within {window:g} s"
    return permitted, Reason(PACE, permitted, text)


def panicked(number: int, situation: Situation) -> Ruling:
    """In panic the pool grows at once; until that has been over for a while, it does not shrink."""
    panic, hold_seconds = situation.panic, situation.spec.scaling.panic.hold_seconds
    if panic:
        return max(number, panic.wanted, situation.before), panic
    ago = situation.past.since(PANIC)
    if number >= situation.before or ago is None or ago >= hold_seconds:
        return number, None
    return situation.before, Reason(HOLD, situation.before, f"panic was {ago:.0f} s ago: held for {hold_seconds:g} s")


def paced(number: int, situation: Situation) -> Ruling:
    """Within a period the pool changes by so much at most; a panic knows no pace."""
    before, scaling = situation.before, situation.spec.scaling
    if number > before and not situation.panic:
        start = min([before, *situation.past.sizes(scaling.up.period_seconds)])
        step = _step(scaling.up, start)
        permitted = min(number, max(before, start + step))
        text = f"at most {step} more in {scaling.up.period_seconds:g} s"
    elif number < before:
        start = max([before, *situation.past.sizes(scaling.down.period_seconds)])
        step = _step(scaling.down, start)
        permitted = max(number, min(before, start - step))
        text = f"at most {step} fewer in {scaling.down.period_seconds:g} s"
    else:
        return number, None
    return (number, None) if permitted == number else (permitted, Reason(PACE, permitted, text))


def bounded(number: int, situation: Situation) -> Ruling:
    """The bounds of the pool hold whatever else does."""
    least, most = situation.sample.least, situation.sample.most
    if number > most:
        return most, Reason("max", most, "capped by max")
    if number < least:
        return least, Reason("min", least, "kept at min")
    return number, None


def _step(pace: PaceConfig, start: int) -> int:
    return max(pace.replicas, int(start * pace.share))
