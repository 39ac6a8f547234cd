"""A command that was launched: waiting for it, ending it, and looking at its processes.

Waiting is on file descriptors of processes, never a loop that asks again and again, and signals go
through them too, so that none hits a stranger that got the same number.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

from raykqi.errors import RaykqiError
from raykqi.execution.cgroup import Cgroup

__all__ = ["LaunchFailed", "Launched", "children_of"]

_EXIT = re.compile(rb'"exit-code": (\d+)')
_CHILD = re.compile(rb'"child-pid": (\d+)')
MOST_ROUNDS = 1000
LATE_CHILD = 0.05  # seconds until looking again for a command that is just being started


class LaunchFailed(RaykqiError):
    """The command never ran; the message says why."""


class Launched:
    """`status` is where bubblewrap tells of its child; without it the process may be an `unshare`, or the command."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        cgroup: Cgroup,
        status: int = -1,
        nested: int = 0,
        marks: frozenset[bytes] = frozenset(),
    ) -> None:
        self.cgroup = cgroup
        self.code: int | None = None
        self.started = True
        self._process = process
        self._status = status
        self._told = b""
        self._marks = marks  # variables by which its processes are known where nothing else holds them together
        self._nested = nested  # how many processes stand between `process` and the command
        self._lock = threading.Lock()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._pidfd = os.pidfd_open(process.pid)
        self._init = 0  # the first process of the namespace, and a descriptor of it
        self._initfd = -1
        if status >= 0:
            self._read_status(until_line=True)
            if match := _CHILD.search(self._told):
                self._init = int(match[1])
                with contextlib.suppress(ProcessLookupError):
                    self._initfd = os.pidfd_open(self._init)
        self._must_end = False
        self._told_to_end = False

    @property
    def root(self) -> int:
        """The process above all others of the command."""
        return self._init or self._process.pid

    def wait(self, timeout: float | None) -> int | None:
        """The exit code of the command, None when it has not ended within `timeout` seconds or `wake` was called.

        When it answers, no process of a command in a namespace is left.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._must_end and not self._told_to_end:
                left = LATE_CHILD if left is None else min(left, LATE_CHILD)
            ready = {file for file, _ in poll.poll(None if left is None else left * 1000 + 1)}
            if self._pidfd in ready:
                return self._conclude()
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
                return None
            if self._must_end and not self._told_to_end:
                self.terminate()
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def wake(self) -> None:
        """Let `wait` answer, from any thread."""
        with self._lock:
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def terminate(self) -> None:
        """SIGTERM to the command, as soon as it is there."""
        with self._lock:
            self._must_end = True
            if self.code is not None or self._told_to_end:
                return
            pid = self._command()
            if pid:
                self._told_to_end = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT to the command, if it is there."""
        with self._lock:
            if self.code is None and (pid := self._command()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to everything."""
        with self._lock:
            if self.code is not None:
                return
            # With its first process a namespace goes as a whole; elsewhere parents first, or they would tell of it.
            for pid in [self._init] if self._init else self.processes():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._kill_marked()

    def processes(self) -> list[int]:
        """All of the command that are there now, parents first."""
        found, waiting = [], [self.root]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += children_of(pid)
        return found

    def close(self) -> None:
        """Nothing of it is left afterwards, whether it was waited for or not."""
        if self.code is None:
            self.kill()
            self._conclude()
        with self._lock:
            for file in (self._wake, self._pidfd, self._initfd, self._status):
                if file >= 0:
                    os.close(file)
            self._wake = self._pidfd = self._initfd = self._status = -1
        self.cgroup.remove()

    def _command(self) -> int:
        pid = self.root
        for _ in range(1 if self._init else self._nested):
            below = children_of(pid)
            if not below:
                return 0
            pid = below[0]
        return pid

    def _conclude(self) -> int:
        code = self._process.wait()
        if self._initfd >= 0:
            select.select([self._initfd], [], [])
        self._kill_marked()
        if self._status >= 0:
            self._read_status(until_line=False)
            match = _EXIT.search(self._told)
            # A killed bubblewrap tells nothing more, but it was no failure to start.
            self.started = match is not None or code < 0
        with self._lock:
            self.code = 128 - code if code < 0 else code
        return self.code

    def _kill_marked(self) -> None:
        """Until none is found: one may just be making another."""
        for _ in range(MOST_ROUNDS if self._marks else 0):
            found = marked_processes(self._marks)
            if not found:
                return
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)

    def _read_status(self, *, until_line: bool) -> None:
        while not (until_line and b"\n" in self._told):
            piece = os.read(self._status, 4096)
            if not piece:
                return
            self._told += piece


def marked_processes(marks: frozenset[bytes]) -> list[int]:
    """Those of this user that have all the variables and are alive."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            # A process that ended but was not waited for has no environment any more.
            with contextlib.suppress(OSError):
                if marks <= set(Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")):
                    found.append(int(entry))
    return found


def children_of(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found
