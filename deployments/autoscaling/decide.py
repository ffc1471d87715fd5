"""How many replicas each pool shall have, and why: a pure function of what is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from deployments.autoscaling.candidate import Candidate
from deployments.autoscaling.idling import awake
from deployments.autoscaling.known import known
from deployments.autoscaling.limits import Rule, Situation, bounded, paced, panicked, stabilised
from deployments.autoscaling.past import Past
from deployments.autoscaling.policies.named import policy_named, proposed
from deployments.autoscaling.policies.policy import STALE
from deployments.autoscaling.policies.schedule import SCHEDULE, floors
from deployments.autoscaling.policies.wait import QUEUE
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec, Reason, Verdict
from deployments.autoscaling.sharing import shared

LOOK_BACK_SECONDS = 900.0
"""Signals see the samples of this time, or of that after which the pool goes to sleep if this is longer."""

BOUNDS = {"max": "max", "min": "min", "pace": "pace", "panic": "panic", "hold": "panic"}
"""By the signal of a reason that changes what is asked for, the name of the bound."""


def decide(history: History, specs: Sequence[PoolSpec], now: float, stale_seconds: float) -> Decision:
    """The verdict on each pool of ``specs``. It is within the bounds of the pool, whatever the samples are, and nothing
    raises. A pool whose last sample is older than ``stale_seconds`` stays as it is.
    """
    verdicts: dict[str, Verdict] = {}
    groups: dict[str, list[Candidate]] = {}
    for spec in specs:
        reach = max(LOOK_BACK_SECONDS, 2 * spec.scaling.idle_seconds)
        kept = history.samples.get(spec.name, ())
        samples = known(kept, now - reach, now) or known(kept[-1:], -inf, now)
        past = Past.of(spec.name, history.decisions, now, spec.scaling.longest_window)
        if samples and now - samples[-1].at <= stale_seconds:
            reasons = _reasons(samples, spec, now, stale_seconds)
            groups.setdefault(spec.group, []).append(Candidate(spec, samples, past, reasons))
        else:
            verdicts[spec.name] = _blind(samples, spec, past, stale_seconds)
    for group in groups.values():
        verdicts |= {each.spec.name: _verdict(each) for each in awake(shared(group), now)}
    return Decision(now, {spec.name: verdicts[spec.name] for spec in specs})


def _reasons(samples: Sequence[PoolSample], spec: PoolSpec, now: float, stale_seconds: float) -> tuple[Reason, ...]:
    sample = samples[-1]
    try:
        reasons = proposed(policy_named(spec.scaling.policy), samples, spec, now)
    except Exception as error:  # an operator's own policy may do anything
        text = f"policy {spec.scaling.policy} failed with {type(error).__name__}: {error}: held"
        reasons = (Reason(STALE, sample.target, text),)
    if not any(reason.signal == SCHEDULE for reason in reasons):
        reasons += tuple(floors(samples, spec, now))
    silent = sample.replicas - sample.reporting
    if not silent:
        return reasons or (Reason(QUEUE, sample.target, "nothing asks for a change"),)
    text = f"figures of {silent} of {sample.replicas} replicas are older than {stale_seconds:g} s"
    if sample.reporting:
        return (*reasons, Reason(STALE, min(silent, sample.target), f"{text}: counted as loaded"))
    return (*reasons, Reason(STALE, sample.target, f"{text}: held"))


def _blind(samples: Sequence[PoolSample], spec: PoolSpec, past: Past, stale_seconds: float) -> Verdict:
    least, most = (samples[-1].least, samples[-1].most) if samples else (spec.least, spec.most)
    target = samples[-1].target if samples else past.target
    before = spec.least if target is None else target
    reason = Reason(STALE, before, f"figures of the pool are older than {stale_seconds:g} s: held")
    return Verdict(before, min(max(before, least), most), STALE, (reason,))


def _verdict(candidate: Candidate) -> Verdict:
    before, wanted = candidate.sample.target, candidate.wanted
    situation = Situation(candidate.spec, candidate.sample, candidate.past, before, wanted)
    number, limits = wanted, list[Reason]()
    for rule in _rules(candidate):
        number, reason = rule(number, situation)
        limits += [reason] if reason else []
    bound = _bound(candidate, number, limits)
    return Verdict(before, number, bound, (*candidate.reasons, *limits))


def _rules(candidate: Candidate) -> Sequence[Rule]:
    if candidate.is_sleeping:
        return [bounded]
    return [panicked, paced, bounded] if candidate.is_waking else [stabilised, panicked, paced, bounded]


def _bound(candidate: Candidate, number: int, limits: Sequence[Reason]) -> str:
    if number != candidate.wanted:
        return BOUNDS[limits[-1].signal]
    is_unknown = not candidate.is_sleeping and candidate.wanted > candidate.known_wanted
    return STALE if is_unknown else "none"
