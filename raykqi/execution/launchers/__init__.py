"""Launchers: the ways in which a command can be started, behind one small interface.

A launcher says under which path the command sees each folder, and starts it. Everything it starts
ends at the latest when the thread that launched it ends, so that nothing is left of a dead node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from raykqi.domain.plan import Launcher as Kind
from raykqi.errors import InvalidInput
from raykqi.execution.launchers.launched import Launched

__all__ = ["Job", "Launcher", "Mount", "launcher_for"]


@dataclass(frozen=True)
class Mount:
    """A folder of this machine, and the path under which the command sees it."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Job:
    """One command to be launched. `hidden` are folders of this machine that are none of its business."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    log: int
    mounts: tuple[Mount, ...] = ()
    temporary: Path = Path("/tmp")
    hidden: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    devices: bool = False
    memory: int = 0
    name: str = "raykqi"


class Launcher(Protocol):
    @property
    def protects(self) -> bool:
        """Whether the command can be kept from writing to its inputs, so that runs may share them."""

    def seen(self, wanted: str, place: Path) -> str:
        """The path under which the command sees the folder `place`, for which its plan wants `wanted`."""

    def launch(self, job: Job) -> Launched:
        """Start the command; raises `LaunchFailed` when it cannot be."""


def launcher_for(kind: Kind) -> Launcher:
    if kind == "process":
        from raykqi.execution.launchers.process import ProcessLauncher

        return ProcessLauncher()
    if kind == "sandbox":
        from raykqi.execution.launchers.sandbox import SandboxLauncher

        return SandboxLauncher()
    if kind == "container":
        raise InvalidInput(
            "containers cannot be launched on this node",
            hint="Use `launcher: sandbox`: the plan's absolute paths exist there too.",
        )
    raise InvalidInput(f"the launcher {kind!r} is not known", hint="Use process, sandbox or container.")
