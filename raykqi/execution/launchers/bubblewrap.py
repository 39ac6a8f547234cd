"""What both launchers share: a PID namespace of its own by bubblewrap, and how much of it this node permits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache

from raykqi.execution.cgroup import Cgroup
from raykqi.execution.launchers import Job
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.launchers.spawning import arguments_file, found_program, spawn

__all__ = ["NAMESPACE", "bubblewrap_works", "launch_bubblewrap", "proc_arguments"]

NAMESPACE = ("--unshare-pid", "--die-with-parent")
PROBE_TIMEOUT = 20.0


@cache
def bubblewrap_works() -> bool:
    return _runs("--dev-bind", "/", "/", *NAMESPACE)


@cache
def proc_arguments() -> tuple[str, ...]:
    """A /proc of the namespace itself; inside of some containers only that of the node can be had."""
    fresh = ("--proc", "/proc")
    return fresh if _runs("--dev-bind", "/", "/", *NAMESPACE, *fresh) else ("--bind", "/proc", "/proc")


def launch_bubblewrap(job: Job, layout: Sequence[str]) -> Launched:
    """`layout` are the arguments that make the file system."""
    variables = [word for name, value in job.env.items() for word in ("--setenv", name, value)]
    arguments = [*layout, *NAMESPACE, "--clearenv", *variables, "--chdir", job.cwd]
    reader, writer = os.pipe()
    file = arguments_file([*arguments, "--json-status-fd", str(writer)])
    cgroup = Cgroup.make(job.name, job.memory)
    try:
        process = spawn(
            [found_program("bwrap"), "--args", str(file), "--", *job.argv],
            log=job.log,
            keep=(file, writer),
            cgroup=cgroup,
        )
    except BaseException:
        os.close(reader)
        cgroup.remove()
        raise
    finally:
        os.close(writer)
        os.close(file)
    return Launched(process, status=reader, cgroup=cgroup)


def _runs(*arguments: str) -> bool:
    program = found_program("bwrap")
    if not program:
        return False
    try:
        done = subprocess.run(
            [program, *arguments, "true"], capture_output=True, env={}, timeout=PROBE_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
