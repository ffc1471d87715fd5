"""The device of this process as NVIDIA's management library (NVML) knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from deployments.activity.source import Unavailable

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Nvml(Protocol):
    """What is used of the module ``pynvml``; its functions raise ``NVMLError``."""

    NVMLError: type[Exception]
    NVML_SUCCESS: int
    NVML_GPM_METRICS_GET_VERSION: int
    NVML_GPM_METRIC_ANY_TENSOR_UTIL: int

    def c_nvmlGpmMetricsGet_t(self) -> Any: ...
    def nvmlInit(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any: ...
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...
    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Any) -> Any: ...
    def nvmlDeviceGetGpuInstanceId(self, handle: Any) -> int: ...
    def nvmlGpmQueryDeviceSupport(self, handle: Any) -> Any: ...
    def nvmlGpmSampleAlloc(self) -> Any: ...
    def nvmlGpmSampleFree(self, sample: Any) -> None: ...
    def nvmlGpmSampleGet(self, handle: Any, sample: Any) -> Any: ...
    def nvmlGpmMigSampleGet(self, handle: Any, instance: int, sample: Any) -> Any: ...
    def nvmlGpmMetricsGet(self, metrics: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Gpu:
    """NVML's ``handle`` of a whole GPU, its ``uuid``, and the ``instance`` of it (MIG) that this process has."""

    handle: Any
    uuid: str
    instance: int | None = None


def visible(environment: Mapping[str, str]) -> str:
    """The first device that CUDA shows to this process: an index, or (the start of) the UUID of a GPU or an instance.

    NVML does not heed the variable. Raises :class:`Unavailable` where there is none.
    """
    first = environment.get(VISIBLE, "0").split(",")[0].strip()
    if not first or first == "-1":
        raise Unavailable(f"{VISIBLE} shows no device")
    return first


def find_gpu(nvml: Nvml, environment: Mapping[str, str]) -> Gpu:
    """The GPU of this process. Raises :class:`Unavailable` without a driver, or where NVML knows no such device.

    Ray numbers devices as NVML does, in the order of the PCI bus.
    """
    name = visible(environment)
    try:
        nvml.nvmlInit()
        return _named(nvml, name)
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML on device {name}: {error}") from error


def _named(nvml: Nvml, name: str) -> Gpu:
    if name.startswith("MIG-"):
        instance = nvml.nvmlDeviceGetHandleByUUID(name)
        handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        return Gpu(handle, nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetGpuInstanceId(instance))
    if name.isdecimal():
        handle = nvml.nvmlDeviceGetHandleByIndex(int(name))
        return Gpu(handle, nvml.nvmlDeviceGetUUID(handle))
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    gpus = [Gpu(handle, nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    named = [gpu for gpu in gpus if gpu.uuid.startswith(name)]
    if len(named) != 1:
        raise Unavailable(f"{len(named)} of {len(handles)} devices are {name}")
    return named[0]
