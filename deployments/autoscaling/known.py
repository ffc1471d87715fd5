"""The samples that decisions can rely on: finite, with sensible numbers, and not too old."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from deployments.autoscaling.sample import PoolSample

MOST = 1_000_000
"""No count is taken to be greater."""

FIGURE_LEAST, FIGURE_MOST = 1e-9, 1e15
"""Between these a figure is one. One that is less is 0."""


def known(samples: Sequence[PoolSample], since: float, now: float) -> tuple[PoolSample, ...]:
    """``samples`` from ``since`` to ``now``: a figure that cannot be counts as unknown, a count as the nearest possible
    one.
    """
    return tuple(sample if _is_sensible(sample) else _mended(sample) for sample in samples if since <= sample.at <= now)


def _is_sensible(sample: PoolSample) -> bool:
    return (
        0 <= sample.reporting <= sample.replicas <= MOST
        and 0 <= sample.least <= sample.most <= MOST
        and 0 <= sample.target <= MOST
        and 0 <= sample.running <= MOST
        and (sample.waiting is None or 0 <= sample.waiting <= MOST)
        and all(not figure or FIGURE_LEAST <= figure <= FIGURE_MOST for figure in _figures_of(sample))
    )


def _mended(sample: PoolSample) -> PoolSample:
    replicas, least = _count(sample.replicas), _count(sample.least)
    return replace(
        sample,
        replicas=replicas,
        target=_count(sample.target),
        least=least,
        most=max(least, _count(sample.most)),
        reporting=min(_count(sample.reporting), replicas),
        running=_count(sample.running),
        waiting=None if sample.waiting is None else _count(sample.waiting),
        load=_figure(sample.load),
        backlog=_figure(sample.backlog),
        rate=_figure(sample.rate),
        burn=_figure(sample.burn),
        refresh_share=_figure(sample.refresh_share),
    )


def _count(value: int) -> int:
    return min(max(value, 0), MOST)


def _figure(value: float | None) -> float | None:
    if value is None or not 0 <= value <= FIGURE_MOST:
        return None
    return value if value >= FIGURE_LEAST else 0.0


def _figures_of(sample: PoolSample) -> tuple[float | None, ...]:
    return sample.load, sample.backlog, sample.rate, sample.burn, sample.refresh_share
