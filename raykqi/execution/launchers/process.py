"""The `process` launcher: the node's own file system, in a PID namespace that ends with the command.

Where bubblewrap is not permitted `unshare` makes the namespace, and where nothing may, descendants
are looked for one by one. Only bubblewrap keeps inputs read-only for whoever may write everywhere.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from raykqi.execution.cgroup import Cgroup
from raykqi.execution.launchers import Job
from raykqi.execution.launchers.bubblewrap import bubblewrap_works, launch_bubblewrap, proc_arguments
from raykqi.execution.launchers.launched import Launched
from raykqi.execution.launchers.spawning import found_program, spawn

__all__ = ["ProcessLauncher"]

UNSHARE = ("--pid", "--fork", "--kill-child=KILL", "--mount-proc")
MARKS = ("RAYKQI_RUN", "RAYKQI_ATTEMPT")
# The first process of a namespace is deaf to SIGTERM, so a shell is first and the command second.
FIRST = ("/bin/sh", "-c", '("$@"); exit $?', "sh")


class ProcessLauncher:
    @property
    def protects(self) -> bool:
        return bubblewrap_works()

    def seen(self, wanted: str, place: Path) -> str:  # noqa: ARG002  nothing appears elsewhere
        return str(place)

    def launch(self, job: Job) -> Launched:
        if bubblewrap_works():
            layout = ["--dev-bind", "/", "/", *proc_arguments()]
            for mount in job.mounts:
                if str(mount.source) != mount.target or not mount.writable:
                    layout += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
            return launch_bubblewrap(job, layout)
        cgroup = Cgroup.make(job.name, job.memory)
        program = found_program("setpriv")
        around: tuple[str, ...] = (program, "--pdeathsig", "KILL", "--") if program else ()
        marks: frozenset[bytes] = frozenset()
        if unshare_works():
            around += (found_program("unshare"), *UNSHARE, "--", *FIRST)
        else:
            marks = frozenset(f"{name}={job.env[name]}".encode() for name in MARKS if name in job.env)
        process = spawn([*around, *job.argv], log=job.log, env=job.env, cwd=job.cwd, cgroup=cgroup)
        return Launched(process, nested=2 if unshare_works() else 0, marks=marks, cgroup=cgroup)


@cache
def unshare_works() -> bool:
    program = found_program("unshare")
    if not program:
        return False
    done = subprocess.run([program, *UNSHARE, "true"], capture_output=True, env={}, check=False)
    return done.returncode == 0
