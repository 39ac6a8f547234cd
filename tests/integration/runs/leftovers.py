"""Processes of runs that outlived their run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["processes_of_runs"]


def processes_of_runs(run_ids: set[str]) -> dict[int, str]:
    """Those that have one of the runs in their environment, with their command."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            run = next((entry for entry in environment if entry.startswith(b"RAYKQI_RUN=")), b"")
            if run.partition(b"=")[2].decode() in run_ids:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found
