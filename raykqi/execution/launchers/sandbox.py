"""The `sandbox` launcher: the plan's absolute paths exist, and of the node only what programs need, read-only.

Home folders, other runs, the caches and the workspace are not there. The root is built anew from the
node's top folders; a folder that lacks one of the plan's paths is taken apart into what it holds, so
that the path can be made beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from raykqi.execution.launchers import Job, Mount
from raykqi.execution.launchers.bubblewrap import bubblewrap_works, launch_bubblewrap, proc_arguments
from raykqi.execution.launchers.launched import Launched, LaunchFailed

__all__ = ["SandboxLauncher"]

OWN_ROOT = "/raykqi"  # where folders appear for which the plan names no path
MADE_ANEW = {"/proc", "/dev", "/tmp", "/sys", OWN_ROOT}
PRIVATE = ("/root", "/home", "/run", "/var/tmp", "/var/lib/kubelet", "/mnt/secrets")
NAMES = ("/etc/resolv.conf", "/etc/hosts")  # often links to somewhere that is private
# What containers are commonly left with; only root has any of it to begin with.
KEPT_RIGHTS = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",
)  # fmt: skip


class SandboxLauncher:
    @property
    def protects(self) -> bool:
        return True

    def seen(self, wanted: str, place: Path) -> str:
        return wanted or f"{OWN_ROOT}/{place.parent.name}/{place.name}".replace("/own/", "/")

    def launch(self, job: Job) -> Launched:
        if not bubblewrap_works():
            raise LaunchFailed(
                "bubblewrap does not work on this node",
                hint="Install `bwrap` and permit user namespaces there, or use `launcher: process`.",
            )
        return launch_bubblewrap(job, list(layout(job)))


def layout(job: Job) -> Iterator[str]:
    targets = [mount.target for mount in job.mounts]
    yield from root(targets)
    yield from (*proc_arguments(), "--dev", "/dev", "--ro-bind-try", "/sys", "/sys")
    if job.devices:
        for device in sorted(Path("/dev").glob("nvidia*")) + sorted(Path("/dev").glob("dri")):
            yield from ("--dev-bind-try", str(device), str(device))
    yield from ("--bind", str(job.temporary), "/tmp")
    yield from veiled(job)
    for mount in sorted(job.mounts, key=lambda mount: mount.target):
        yield from bound(mount)
    yield from ("--remount-ro", "/")
    if os.geteuid() == 0:
        yield from ("--cap-drop", "ALL")
        for right in KEPT_RIGHTS:
            yield from ("--cap-add", f"CAP_{right}")


def bound(mount: Mount) -> tuple[str, str, str]:
    return ("--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target)


def root(targets: Iterable[str]) -> Iterator[str]:
    """The node's folders, read-only; those that `targets` have to be made in are taken apart."""
    opened = {
        str(parent)
        for target in targets
        if not os.path.isdir(target)
        for parent in Path(target).parents
        if os.path.isdir(parent)
    }
    yield from folder_entries("/", opened)


def folder_entries(folder: str, opened: set[str]) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if path in MADE_ANEW:
            continue
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif path in opened:
            yield from ("--dir", path)
            yield from folder_entries(path, opened)
        else:
            yield from ("--ro-bind-try", path, path)


def veiled(job: Job) -> Iterator[str]:
    """Empty folders in the place of private ones, and in those again what programs need; the deeper path wins."""
    folders = [real_folder(folder) for folder in (*map(Path, PRIVATE), *job.hidden)]
    covers: dict[Path, tuple[str, ...]] = {folder: ("--tmpfs", str(folder)) for folder in folders if folder}
    package = Path(__file__).parents[2]
    for wanted in (Path(sys.prefix), Path(sys.base_prefix), package, *job.shown, *map(Path, NAMES)):
        real = Path(os.path.realpath(wanted))
        for path in {real, wanted}:
            if path.is_relative_to("/tmp") or any(path.is_relative_to(folder) for folder in covers):
                covers[path] = ("--ro-bind-try", str(real), str(path))
    for path in sorted(covers):
        yield from covers[path]


def real_folder(folder: Path) -> Path | None:
    """Without detours over links; the private /tmp hides what lies in it, so nothing has to be done there."""
    real = Path(os.path.realpath(folder))
    return real if real.is_dir() and real != Path("/") and not real.is_relative_to("/tmp") else None
