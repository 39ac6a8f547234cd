"""The proxies of a Ray Serve that has ended. Each reload makes another process, which may outlive its Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["end_proxies"]

PROGRAM = b"haproxy"


def end_proxies(folder: Path) -> None:
    """Those whose files lie in `folder`, which is one Ray's alone."""
    for pid in _proxies(os.fsencode(folder) + b"/"):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _proxies(folder: bytes) -> Iterator[int]:
    for process in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if process.name.isdigit():
            with suppress(OSError):
                program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
                if program.endswith(PROGRAM) and any(each.startswith(folder) for each in arguments):
                    yield int(process.name)
