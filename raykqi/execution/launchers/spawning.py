"""Starting the process that becomes a command: as if from a fresh login, whatever the worker around it is like.

The worker may have blocked SIGINT, lowered its priority and asked to be killed first when memory is
short; none of that is meant for user code. The new process stays in the process group of the worker.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from raykqi.execution.cgroup import Cgroup

__all__ = ["SYSTEM_PATH", "arguments_file", "found_program", "spawn"]

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Enters the control groups named before `--`, then becomes the command.
PRELUDE = """{ echo 0 > /proc/self/oom_score_adj; } 2>/dev/null
while [ "$1" != -- ]; do { echo 0 > "$1"; } 2>/dev/null; shift; done
shift
exec "$@"
"""


def spawn(
    argv: Sequence[str],
    *,
    log: int,
    env: Mapping[str, str] | None = None,
    inherit: bool = False,
    cwd: str | None = None,
    keep: Sequence[int] = (),
    cgroup: Cgroup,
) -> subprocess.Popen[bytes]:
    """`inherit` is for processes of our own, which get the environment of this one."""
    with _everyday_thread():
        return subprocess.Popen(
            ["/bin/sh", "-c", PRELUDE, "sh", *cgroup.entrances, "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=None if inherit else dict(env or {"PATH": SYSTEM_PATH}),
            cwd=cwd or "/",
            pass_fds=keep,
        )


def arguments_file(arguments: Sequence[str]) -> int:
    """Arguments that nobody shall read in the list of processes, as a file that has no name."""
    file = os.memfd_create("arguments", os.MFD_CLOEXEC)
    with open(file, "wb", closefd=False) as writer:
        writer.write(b"".join([os.fsencode(argument) + b"\0" for argument in arguments]))
    os.lseek(file, 0, os.SEEK_SET)
    return file


@cache
def found_program(name: str) -> str:
    """The path of a program of the system, or nothing."""
    return shutil.which(name, path=SYSTEM_PATH) or ""


@contextlib.contextmanager
def _everyday_thread() -> Iterator[None]:
    """Signals and priority are a thread's own, and a new process has those of the thread that made it."""
    with contextlib.suppress(PermissionError):
        if os.getpriority(os.PRIO_PROCESS, 0) > 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
    before = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
