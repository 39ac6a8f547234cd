"""How a process ended, in words, and whether lack of memory was why."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

__all__ = ["MemoryKills", "how_it_ended"]

CGROUPS = Path("/sys/fs/cgroup")


class MemoryKills:
    """How often the kernel killed something for lack of memory since this was made, here or in the control group."""

    def __init__(self) -> None:
        self._before = _kills()

    def counted(self) -> int:
        return _kills() - self._before


def how_it_ended(code: int, memory_kills: int, memory: int) -> str:
    """`code` as subprocess has it: negative for a signal. `memory` is what it could have at most, 0 for all."""
    if code >= 0:
        return f"ended with code {code}"
    number = -code
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGKILL and memory_kills > 0:
        limit = f" (it may have {memory / 2**20:,.0f} MiB)" if memory else ""
        return f"was killed because the memory was used up{limit}"
    return f"was killed by {name}"


def _kills() -> int:
    found = _count(Path("/proc/vmstat"))
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                found += _count(CGROUPS / path.lstrip("/") / "memory.events")
    return found


def _count(file: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return 0
