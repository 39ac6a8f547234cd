"""GPUs are measured through the driver's library; one that answers as a driver would stands in for it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from raykqi.execution.gpu_usage import GpuMeter

DRIVER = """
#include <string.h>
typedef unsigned long long bytes;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned number, void **device) {
    *device = (void *)(long)(number + 1);
    return number > 1 ? 6 : 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = (void *)1L;
    return strcmp(uuid, "GPU-1234") ? 6 : 0;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
    rates[0] = device == (void *)1L ? 100 : 50;
    rates[1] = 0;
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, bytes *memory) {
    memory[0] = 80ULL << 30;
    memory[2] = (bytes)(long)device << 30;
    memory[1] = memory[0] - memory[2];
    return 0;
}
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not shutil.which("cc"):
        pytest.skip("no C compiler to build a driver's library with")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER)
    built = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", built, folder / "driver.c"], check=True)
    return str(built)


def used(gpus: list[str], library: str) -> tuple[float, int]:
    """Seconds of use in each second that passed, and memory in GiB."""
    began = time.monotonic()
    meter = GpuMeter(gpus, library)
    while time.monotonic() - began < 0.05:
        meter.look()
    meter.look()
    return round(meter.seconds / (time.monotonic() - began), 1), meter.memory >> 30


def test_the_gpus_of_a_run_are_added_up(driver: str) -> None:
    assert used(["0"], driver) == (1.0, 1)
    assert used(["1"], driver) == (0.5, 2)
    assert used(["0", "1"], driver) == (1.5, 3)
    assert used(["GPU-1234"], driver) == (1.0, 1)


def test_what_the_driver_does_not_know_is_left_out(driver: str) -> None:
    assert used(["7", "GPU-other"], driver) == (0.0, 0)
    assert used([], driver) == (0.0, 0)


def test_without_a_driver_nothing_is_told(tmp_path: Path) -> None:
    assert used(["0"], str(tmp_path / "absent.so")) == (0.0, 0)
