"""NVIDIA's management library without a driver: its own structures, and devices that are as busy as they are told."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import pynvml


@dataclass
class FakeGpu:
    """A device that has been busy for ``worked`` of the ``elapsed`` seconds; instances of it have ``ids``."""

    uuid: str
    has_gpm: bool = True
    instances: dict[str, int] = field(default_factory=dict)
    worked: float = 0.0
    elapsed: float = 0.0

    def work(self, seconds: float, share: float) -> None:
        """Be busy for that ``share`` of so many further ``seconds``."""
        self.worked, self.elapsed = self.worked + share * seconds, self.elapsed + seconds


@dataclass(frozen=True)
class Instance:
    """NVML's handle of a part of a GPU."""

    gpu: FakeGpu
    id: int


class FakeNvml:
    """What :class:`deployments.activity.nvml.Nvml` asks for."""

    NVMLError = pynvml.NVMLError
    NVML_SUCCESS = pynvml.NVML_SUCCESS
    NVML_GPM_METRICS_GET_VERSION = pynvml.NVML_GPM_METRICS_GET_VERSION
    NVML_GPM_METRIC_ANY_TENSOR_UTIL = pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL
    c_nvmlGpmMetricsGet_t = pynvml.c_nvmlGpmMetricsGet_t

    def __init__(self, *gpus: FakeGpu, driver: bool = True) -> None:
        self.gpus, self.driver, self.broken = gpus, driver, False
        self.metric_return = pynvml.NVML_SUCCESS
        self.sampled_instances: list[int] = []
        self.allocated: dict[int, Any] = {}
        self._samples: dict[int, tuple[float, float]] = {}

    def nvmlInit(self) -> None:
        if not self.driver:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        if index >= len(self.gpus):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu | Instance:
        for gpu in self.gpus:
            if gpu.uuid == uuid:
                return gpu
            if uuid in gpu.instances:
                return Instance(gpu, gpu.instances[uuid])
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetUUID(self, handle: FakeGpu) -> str:
        return handle.uuid

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Instance) -> FakeGpu:
        return handle.gpu

    def nvmlDeviceGetGpuInstanceId(self, handle: Instance) -> int:
        return handle.id

    def nvmlGpmQueryDeviceSupport(self, handle: FakeGpu) -> Any:
        return pynvml.c_nvmlGpmSupport_t(pynvml.NVML_GPM_SUPPORT_VERSION, handle.has_gpm)

    def nvmlGpmSampleAlloc(self) -> Any:
        memory = pynvml.struct_c_nvmlGpmSample_t.from_buffer(bytearray(8))
        sample = ctypes.pointer(memory)
        self.allocated[_address(sample)] = sample
        return sample

    def nvmlGpmSampleFree(self, sample: Any) -> None:
        del self.allocated[_address(sample)]

    def nvmlGpmSampleGet(self, handle: FakeGpu, sample: Any) -> Any:
        if self.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        self._samples[_address(sample)] = (handle.worked, handle.elapsed)
        return sample

    def nvmlGpmMigSampleGet(self, handle: FakeGpu, instance: int, sample: Any) -> Any:
        self.sampled_instances.append(instance)
        return self.nvmlGpmSampleGet(handle, sample)

    def nvmlGpmMetricsGet(self, metrics: Any) -> Any:
        assert (metrics.version, metrics.numMetrics) == (pynvml.NVML_GPM_METRICS_GET_VERSION, 1)
        assert metrics.metrics[0].metricId == pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL
        (worked, elapsed), (later_worked, later) = (
            self._samples[_address(sample)] for sample in (metrics.sample1, metrics.sample2)
        )
        assert later > elapsed
        metrics.metrics[0].nvmlReturn = self.metric_return
        metrics.metrics[0].value = 100 * (later_worked - worked) / (later - elapsed)
        return metrics


def _address(sample: Any) -> int:
    address = ctypes.cast(sample, ctypes.c_void_p).value
    assert address is not None
    return address
