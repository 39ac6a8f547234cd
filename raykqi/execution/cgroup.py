"""A control group for one command, where this process may make one: its memory limit and what it used.

Both versions of control groups are understood. Where none can be made, the command runs without a
limit, and only the node's own counters tell whether the kernel killed something for lack of memory.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Cgroup", "killed_for_memory"]

MOUNT = Path("/sys/fs/cgroup")
PREFIX = "raykqi-"
ABANDONED = 600.0  # seconds: a command enters its group within moments of its making


class Cgroup:
    def __init__(self, memory: Path | None = None, cpu: Path | None = None) -> None:
        self._memory = memory
        self._cpu = cpu
        self._oom_before = _node_oom_kills()

    @classmethod
    def make(cls, name: str, memory: int) -> Cgroup:
        """`memory` in bytes, 0 for no limit."""
        own = _own_groups()
        if (MOUNT / "cgroup.controllers").exists():
            group = _made(MOUNT / own.get("", "").lstrip("/") / name)
            if group and memory:
                _write(group / "memory.max", memory)
            limited = group is not None and (group / "memory.max").exists()
            return cls(group if limited else None, group)
        memory_group = _made(MOUNT / "memory" / own.get("memory", "").lstrip("/") / name)
        cpu_group = _made(MOUNT / "cpuacct" / own.get("cpuacct", "").lstrip("/") / name)
        if memory_group and memory:
            _write(memory_group / "memory.limit_in_bytes", memory)
            _write(memory_group / "memory.memsw.limit_in_bytes", memory)
        return cls(memory_group, cpu_group)

    @property
    def entrances(self) -> list[str]:
        """Files to which a process writes 0 to join."""
        return [f"{group}/cgroup.procs" for group in dict.fromkeys((self._memory, self._cpu)) if group]

    @property
    def is_limited(self) -> bool:
        """Whether it is this group that keeps the command within its memory."""
        return self._memory is not None

    def oom_kills(self) -> int:
        """How many of its processes were killed because the memory was full; of the whole node if it has no group."""
        if self._memory is None:
            return _node_oom_kills() - self._oom_before
        return _count(self._memory / "memory.oom_control", "oom_kill") + _count(
            self._memory / "memory.events", "oom_kill"
        )

    def cpu_seconds(self) -> float:
        if self._cpu is None:
            return 0.0
        with contextlib.suppress(OSError, ValueError):
            return int((self._cpu / "cpuacct.usage").read_text()) / 1e9
        return _count(self._cpu / "cpu.stat", "usage_usec") / 1e6

    def peak_memory(self) -> int:
        """The highest so far; the cache of files that it read counts too."""
        if self._memory is not None:
            for name in ("memory.peak", "memory.max_usage_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    return int((self._memory / name).read_text())
        return 0

    def remove(self) -> None:
        for group in (self._memory, self._cpu):
            if group:
                with contextlib.suppress(OSError):
                    group.rmdir()


def killed_for_memory(code: int, cgroup: Cgroup) -> bool:
    """Whether lack of memory is why a command ended with `code`."""
    return code != 0 and (cgroup.is_limited or code == 137) and cgroup.oom_kills() > 0


def _own_groups() -> Mapping[str, str]:
    """Controller → path of the group that this process is in; "" for the unified hierarchy."""
    groups = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _made(group: Path) -> Path | None:
    _sweep(group.parent)
    try:
        group.mkdir()
    except FileExistsError:
        return group
    except OSError:
        return None
    if not os.access(group / "cgroup.procs", os.W_OK):
        with contextlib.suppress(OSError):
            group.rmdir()
        return None
    return group


def _sweep(parent: Path) -> None:
    """Take away what supervisors that were killed left; a group that is in use cannot be removed."""
    with contextlib.suppress(OSError):
        for left in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    left.rmdir()


def _write(file: Path, value: int) -> None:
    with contextlib.suppress(OSError):
        file.write_text(str(value))


def _count(file: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _node_oom_kills() -> int:
    return _count(Path("/proc/vmstat"), "oom_kill")
