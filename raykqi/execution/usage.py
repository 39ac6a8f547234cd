"""What a command uses: its processes summed, from /proc and its control group, and its GPUs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from raykqi.domain.run import Usage
from raykqi.execution.cgroup import Cgroup
from raykqi.execution.gpu_usage import GpuMeter

__all__ = ["Meter"]

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """`look` from time to time; `usage` is the sum of what was seen."""

    def __init__(self, cgroup: Cgroup, gpus: GpuMeter) -> None:
        self._cgroup = cgroup
        self._gpus = gpus
        self._began = time.monotonic()
        self._cpu = 0.0
        self._memory = 0
        self._ended = 0.0

    def look(self, pids: Iterable[int]) -> None:
        cpu, own, shared = 0, 0, 0
        for pid in pids:
            with contextlib.suppress(OSError, ValueError, IndexError):
                # Behind the name of the program, which may hold anything; with those of ended children.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu += sum(map(int, fields[11:15]))
                _, resident, common = map(int, Path(f"/proc/{pid}/statm").read_text().split()[:3])
                own += max(resident - common, 0)
                shared = max(shared, common)
        self._cpu = max(self._cpu, cpu / TICKS, self._cgroup.cpu_seconds())
        self._memory = max(self._memory, (own + shared) * PAGE)
        self._gpus.look()

    def stop(self) -> None:
        """The command has ended: take what its control group remembers of it."""
        self._ended = time.monotonic()
        self._cpu = max(self._cpu, self._cgroup.cpu_seconds())
        self._memory = self._memory or self._cgroup.peak_memory()

    @property
    def usage(self) -> Usage:
        wall = (self._ended or time.monotonic()) - self._began
        gpus = self._gpus
        return Usage(round(wall, 3), round(self._cpu, 3), self._memory, round(gpus.seconds, 3), gpus.memory)
