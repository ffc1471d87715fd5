"""The hardware's counter through NVML's GPU performance monitoring (GPM), of Hopper and later."""

from __future__ import annotations

import math

from deployments.activity.nvml import Gpu, Nvml
from deployments.activity.source import Reading, Unavailable
from deployments.autoscaling.config import ActivitySource

PERCENT = 100.0


class GpmSource:
    """The share of the time in which the tensor cores worked (``ANY_TENSOR_UTIL``), between two samples of ``gpu``.

    Raises :class:`Unavailable` for a device that has no such counter.
    """

    name: ActivitySource = "gpm"

    def __init__(self, nvml: Nvml, gpu: Gpu) -> None:
        self._nvml, self._gpu = nvml, gpu
        try:
            if not nvml.nvmlGpmQueryDeviceSupport(gpu.handle).isSupportedDevice:
                raise Unavailable(f"device {gpu.uuid} has no GPM")
            self._before, self._after = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
        except nvml.NVMLError as error:
            raise Unavailable(f"GPM of device {gpu.uuid}: {error}") from error
        self._sampled = False

    def read(self, now: float) -> Reading | None:
        """See :meth:`Source.read`. After an error the next reading is a first one."""
        sampled, self._sampled = self._sampled, False
        self._sample()
        value = self._between() if sampled else None
        self._before, self._after = self._after, self._before
        self._sampled = True
        return None if value is None else Reading(value, now)

    def close(self) -> None:
        """Free both samples."""
        for sample in (self._before, self._after):
            self._nvml.nvmlGpmSampleFree(sample)

    def _sample(self) -> None:
        if self._gpu.instance is None:
            self._nvml.nvmlGpmSampleGet(self._gpu.handle, self._after)
        else:
            self._nvml.nvmlGpmMigSampleGet(self._gpu.handle, self._gpu.instance, self._after)

    def _between(self) -> float | None:
        asked = self._nvml.c_nvmlGpmMetricsGet_t()
        asked.version, asked.numMetrics = self._nvml.NVML_GPM_METRICS_GET_VERSION, 1
        asked.sample1, asked.sample2 = self._before, self._after
        asked.metrics[0].metricId = self._nvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL
        self._nvml.nvmlGpmMetricsGet(asked)
        metric = asked.metrics[0]
        known = metric.nvmlReturn == self._nvml.NVML_SUCCESS and math.isfinite(metric.value)
        return metric.value / PERCENT if known else None
