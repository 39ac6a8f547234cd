"""Names for unfinished files that tell, after a crash, whether their writer still lives.

A name is `<pid>-<start>-<place>-<n>`: `start` is when that process began, so that a reused process
number is not taken for the writer, and `place` is the boot and process namespace in which the number
means anything. Files from other places (a folder shared by machines) are only judged by age.
"""

from __future__ import annotations

import itertools
import os
import platform
import time
from functools import lru_cache
from pathlib import Path

__all__ = ["is_leftover", "sweep_folder", "temporary_name"]

FOREIGN_AGE = 24 * 3600.0  # seconds after which an unfinished file of another machine is given up

_numbers = itertools.count()


def temporary_name() -> str:
    pid = os.getpid()
    return f"{_writer(pid)}-{next(_numbers)}"


def sweep_folder(folder: Path) -> int:
    """Remove the files of dead writers; those that vanish meanwhile count as somebody else's."""
    removed = 0
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    for name in names:
        path = folder / name
        try:
            if not is_leftover(name, path):
                continue
            path.unlink()
            removed += 1
        except (FileNotFoundError, IsADirectoryError):
            continue
    return removed


def is_leftover(name: str, path: Path) -> bool:
    """Whether the process that made this name is gone."""
    pid, _, rest = name.partition("-")
    start, _, rest = rest.partition("-")
    place, _, _ = rest.partition("-")
    if place == _place() and pid.isdigit():
        return _start_of(int(pid)) != start
    return time.time() - path.stat().st_mtime > FOREIGN_AGE


@lru_cache(maxsize=4)
def _writer(pid: int) -> str:
    return f"{pid}-{_start_of(pid)}-{_place()}"


@lru_cache(maxsize=1)
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")[:12]
        return f"{boot}{os.stat('/proc/self/ns/pid').st_ino:x}"
    except OSError:
        return platform.node().replace("-", "") or "unknown"


def _start_of(pid: int) -> str:
    """Clock ticks since boot at which the process began; empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return _alive_without_proc(pid)
    # The command name, in brackets, may itself hold blanks and brackets.
    return stat[stat.rindex(b")") :].split()[20].decode()


def _alive_without_proc(pid: int) -> str:
    if os.path.exists("/proc/self/stat"):
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "alive"
    return "alive"
