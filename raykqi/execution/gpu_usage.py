"""What the GPUs of a run are doing, asked of the driver's own library, NVML. Without it nothing is told.

A GPU that runs share is seen as a whole: the driver does not tell their parts apart.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import time
from collections.abc import Sequence

__all__ = ["GpuMeter"]

log = logging.getLogger(__name__)

LIBRARY = "libnvidia-ml.so.1"


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class GpuMeter:
    """`look` from time to time: seconds of full use, and the most memory that was in use at once."""

    def __init__(self, gpus: Sequence[str], library: str = LIBRARY) -> None:
        self.seconds = 0.0
        self.memory = 0
        self._nvml = _load(library) if gpus else None
        self._devices = [device for gpu in gpus if (device := self._device(gpu)) is not None]
        self._looked = time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        used = 0
        for device in self._devices:
            rates, memory = _Utilization(), _Memory()
            if self._call("nvmlDeviceGetUtilizationRates", device, ctypes.byref(rates)):
                self.seconds += passed * rates.gpu / 100
            if self._call("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory)):
                used += memory.used
        self.memory = max(self.memory, used)

    def _device(self, gpu: str) -> ctypes.c_void_p | None:
        """By number, as Ray counts them, or by UUID."""
        device = ctypes.c_void_p()
        if gpu.isdigit():
            found = self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(int(gpu)), ctypes.byref(device))
        else:
            found = self._call("nvmlDeviceGetHandleByUUID", gpu.encode(), ctypes.byref(device))
        return device if found else None

    def _call(self, name: str, *arguments: object) -> bool:
        return self._nvml is not None and getattr(self._nvml, name)(*arguments) == 0


@functools.lru_cache
def _load(library: str) -> ctypes.CDLL | None:
    try:
        nvml = ctypes.CDLL(library)
        if nvml.nvmlInit_v2() == 0:
            return nvml
    except (OSError, AttributeError) as error:
        log.debug("GPUs are not measured: %s", error)
    return None
