"""The processes that write the files of a pull, and the queue before them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, cast

import msgspec

from raykqi.storage.unpacking import Answer, Job, read_frame, write_frame

__all__ = ["Unpackers"]

# Two keep a file system busy; more wait for each other in its journal.
MOST = 2
PROGRAM = """
import sys
sys.path[:] = sys.argv[3:]
from raykqi.storage.unpacking import serve
serve(sys.argv[1], int(sys.argv[2]))
"""


class Unpackers:
    """Safe to use from many threads. Without a working process `do` answers `None`: do it yourself then."""

    def __init__(self, target: Path, umask: int) -> None:
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        self.processes: list[subprocess.Popen[bytes]] = []
        for _ in range(min(MOST, os.cpu_count() or 1)):
            process = _start(target, umask)
            self._idle.put(process)
            if process:
                self.processes.append(process)

    def do(self, job: Job) -> Answer | None:
        process = self._idle.get()
        answer = None
        if process is not None:
            with contextlib.suppress(OSError):
                write_frame(cast("BinaryIO", process.stdin), msgspec.msgpack.encode(job))
                if frame := read_frame(cast("BinaryIO", process.stdout)):
                    answer = msgspec.msgpack.decode(frame, type=Answer)
        # One that did not answer never will.
        self._idle.put(process if answer else None)
        return answer

    def close(self) -> None:
        """Every answer is in, or nobody waits for it any more: there is nothing to end gracefully."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()


def _start(target: Path, umask: int) -> subprocess.Popen[bytes] | None:
    if not sys.executable:
        return None
    try:
        return subprocess.Popen(
            # Without `site` it starts twice as fast; where modules lie it is told.
            [sys.executable, "-S", "-c", PROGRAM, str(target), str(umask), *filter(None, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the parent, which closes its children.
            process_group=0,
        )
    except OSError:
        return None
