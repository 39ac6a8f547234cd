"""Who a process is, in a way that another one can check later: its host, its boot, its number and start.

A number alone is not enough: it is given out again, and every container has its own.
"""

from __future__ import annotations

import os
import socket
import time
from functools import cache
from pathlib import Path

import msgspec

__all__ = ["Process", "boot_seconds", "is_dead", "this_process"]

# Suspended time counts: a laptop that slept must not believe that it looked a moment ago.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_START_FIELD = 19  # of /proc/PID/stat, counted behind the parenthesised name


class Process(msgspec.Struct, frozen=True):
    """`realm` is the boot and the process namespace in which `pid` counts; "" where that cannot be known."""

    host: str
    realm: str
    pid: int
    start: str


def boot_seconds() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(_BOOT_CLOCK)


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), _realm(), pid, _start(pid) or "")


def is_dead(process: Process) -> bool:
    """True only when it certainly ended: it ran in our realm, and its number is free or another's."""
    if not process.realm or process.realm != _realm() or process.host != socket.gethostname():
        return False
    return _start(process.pid) != process.start


@cache
def _realm() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start(pid: int) -> str | None:
    """When the process began, in clock ticks since the boot; None when there is none (or only its shell)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[_START_FIELD]
