"""How an attempt ended, in a code and in words that somebody can act on."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from raykqi.domain.resources import show_bytes
from raykqi.domain.run import Exit
from raykqi.errors import RaykqiError, StorageFull
from raykqi.execution.cgroup import killed_for_memory
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.logs import last_line

__all__ = ["COULD_NOT_START", "TIMED_OUT", "explain_end", "explain_failure", "with_problems"]

COULD_NOT_START = 255
TIMED_OUT = 124
OUT_OF_MEMORY = 137
HARDLY_ANY = 1 << 20  # bytes left on a disk that is full


def explain_failure(error: Exception) -> Exit:
    """Of what was done for the command, before or after it."""
    if isinstance(error, RaykqiError):
        full = "the disk is full: " if isinstance(error, StorageFull) else ""
        return Exit(COULD_NOT_START, full + ". ".join(filter(None, (error.message, error.hint))))
    if isinstance(error, OSError):
        return Exit(COULD_NOT_START, f"{error.strerror or error}: {error.filename or 'on this node'}")
    return Exit(COULD_NOT_START, f"{type(error).__name__}: {error}")


def explain_end(code: int, launched: Launched, *, log: Path, outputs: Sequence[Path], memory: int) -> Exit:
    """Of the command itself."""
    said = last_line(log)
    if not launched.started:
        return Exit(COULD_NOT_START, f"the command could not be started: {said.removeprefix('bwrap: ')}")
    if code == 0:
        return Exit(0)
    if killed_for_memory(code, launched.cgroup):
        limit = f"needed more than its memory of {show_bytes(memory)}"
        why = limit if launched.cgroup.is_limited else "the node ran out of memory"
        return Exit(code, f"OOMKilled: {why}; raise `memory` in the plan's resources")
    if full := next((folder for folder in outputs if is_full(folder)), None):
        return Exit(code, f"{how(code)}; no space is left on the node's disk under {full}{quoted(said)}")
    return Exit(code, how(code) + quoted(said))


def how(code: int) -> str:
    if code > 128:
        try:
            return f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            pass
    return f"exited with code {code}"


def quoted(said: str) -> str:
    return f": {said}" if said else ""


def is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < HARDLY_ANY or (disk.f_files > 0 and disk.f_favail == 0)


def with_problems(exit_: Exit, problems: Sequence[str]) -> Exit:
    """A command that succeeded but whose outputs are not stored did not succeed."""
    if not problems:
        return exit_
    message = "; ".join(filter(None, (exit_.message, *problems)))
    return Exit(exit_.code or COULD_NOT_START, message)
