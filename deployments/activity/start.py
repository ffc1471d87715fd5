"""From the configuration to a sampler that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from deployments.activity.calibration import Calibration
from deployments.activity.dcgm import DcgmSource, labels_of
from deployments.activity.estimate import EstimateSource, Executed
from deployments.activity.gpm import GpmSource
from deployments.activity.nvml import Gpu, Nvml, find_gpu
from deployments.activity.sampler import Sampler
from deployments.activity.source import Source, Unavailable
from deployments.autoscaling.config import ActivityConfig, ActivitySource, AutoscalingConfig
from deployments.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


def start_sampling(
    config: AutoscalingConfig,
    counters: Sequence[Source],
    calibration: Calibration,
    executed: Callable[[], Executed],
    metrics: Metrics,
    labels: Mapping[str, str],
) -> Sampler:
    """Sample the ``counters`` and the estimate, which knows what was ``executed``, in the order of ``config``."""
    by_name: dict[ActivitySource, Source] = {source.name: source for source in counters}
    by_name["estimate"] = EstimateSource(executed, calibration.peak)
    sources = [by_name[name] for name in config.activity.sources if name in by_name]
    sampler = Sampler(sources, calibration.plateaus, config.stale_seconds, metrics, labels)
    sampler.start(config.activity.interval_seconds)
    return sampler


def open_counters(config: AutoscalingConfig, environment: Mapping[str, str], nvml: Nvml, hostname: str) -> list[Source]:
    """The hardware's counters for the device of this process; of one that there is not, the log says why."""
    opened: list[Source] = []
    for name in config.activity.sources:
        try:
            if name == "gpm":
                opened.append(GpmSource(nvml, find_gpu(nvml, environment)))
            elif name == "dcgm":
                opened.append(_dcgm(config.activity, config.stale_seconds, environment, nvml, hostname))
        except Unavailable as reason:
            logger.warning("tensor activity is not read from %s: %s", name, reason)
    return opened


def _dcgm(
    config: ActivityConfig, window_seconds: float, environment: Mapping[str, str], nvml: Nvml, hostname: str
) -> DcgmSource:
    if config.prometheus_url is None:
        raise Unavailable("autoscaling.activity.prometheus_url is not set")
    labels = labels_of(_gpu(nvml, environment), environment, hostname)
    return DcgmSource(config.prometheus_url, labels, window_seconds)


def _gpu(nvml: Nvml, environment: Mapping[str, str]) -> Gpu | None:
    try:
        return find_gpu(nvml, environment)
    except Unavailable:
        return None
