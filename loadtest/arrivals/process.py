"""The moments at which requests come."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from cluster.autoscaling.shapes import Shape


def moments(shape: Shape, peak: float, burstiness: float, seconds: float, random: Random) -> Iterator[float]:
    """Moments within ``seconds`` at a rate of ``peak`` times ``shape`` a second.

    At the peak the gaps are drawn from a gamma distribution whose squared coefficient of variation is ``burstiness``;
    each moment is then kept with the probability that the shape says, which leaves a Poisson process one.
    """
    form = 1.0 / burstiness
    scale = 1.0 / (peak * form)
    at = random.gammavariate(form, scale)
    while at < seconds:
        if random.random() < shape(at / seconds):
            yield at
        at += random.gammavariate(form, scale)
