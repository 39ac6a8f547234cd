"""Runs as values: one plan on one assignment, how far it has come and how it ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.filters import Filter
from raykqi.domain.tags import Tag

__all__ = ["ENDED", "LIVE", "STATUSES", "Cause", "Exit", "Run", "RunInputData", "RunOutputData", "RunPage", "RunQuery"]
__all__ += ["RunStatus", "Stopping", "Usage"]

RunStatus = Literal[
    "deactivated",
    "waiting",
    "ready",
    "starting",
    "running",
    "completing",
    "aborting",
    "done",
    "failed",
    "invalidated",
]
STATUSES: tuple[RunStatus, ...] = (
    "deactivated", "waiting", "ready", "starting", "running", "completing", "aborting", "done", "failed", "invalidated",
)  # fmt: skip
ENDED: tuple[RunStatus, ...] = ("done", "failed", "invalidated")
LIVE: tuple[RunStatus, ...] = ("starting", "running", "completing", "aborting")  # something of it may be on a node
Stopping = Literal["", "stop", "fail"]


class Exit(msgspec.Struct, frozen=True):
    """0 is success; 124 timed out, 253 aborted by user, 254 lost, 255 could not be started."""

    code: int
    message: str = ""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run took: seconds of wall clock and CPU, bytes of memory at the most, GPU as seconds and bytes."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    gpu: float = 0.0
    gpu_memory: int = 0


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """What made the run: `data` came, got `tags` from `by`, or its plan was applied or had a backlog."""

    kind: Literal["data", "tags", "plan", "backlog", "user"]
    by: str = ""
    data: str = ""
    tags: tuple[Tag, ...] = ()


class RunInputData(msgspec.Struct, frozen=True):
    """`data` is an id, or what stands for data of another project in lineages of this one."""

    name: str
    data: str
    path: str = ""


class RunOutputData(msgspec.Struct, frozen=True):
    name: str
    data: str
    path: str = ""


class Run(msgspec.Struct, frozen=True):
    """`reason` says why it waits or how it came to its end; `place` is its place in the queue, from 1."""

    id: str
    project: str
    plan: str
    title: str
    status: RunStatus
    attempt: int
    created: datetime
    updated: datetime
    creator: str
    inputs: tuple[RunInputData, ...] = ()
    outputs: tuple[RunOutputData, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    exit: Exit | None = None
    reason: str = ""
    place: int = 0
    node: str = ""
    usage: Usage | None = None
    cause: Cause | None = None
    reused_from: str = ""

    @property
    def log(self) -> str:
        """The id of the data that keeps its log, or nothing."""
        return next((output.data for output in self.outputs if output.name == "(log)"), "")


class RunQuery(msgspec.Struct, frozen=True):
    """Any of the values in a field, all of the fields. Newest first. Times are those of the last change."""

    plans: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    statuses: tuple[RunStatus, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    project: str = "default"
    oldest_first: bool = False
    filters: tuple[Filter, ...] = ()


class RunPage(msgspec.Struct, frozen=True):
    items: tuple[Run, ...]
    next_cursor: str = ""
