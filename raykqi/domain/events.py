"""The events: everything that ever happened to a workspace, as small typed values.

An event holds every id, time and choice that was made, so that folding the same events twice gives
the same index (P10). One `action` a class; `Event` is the union that journals hold.
Nothing is ever taken out of this file: old journals stay readable.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.access_events import (
    AccessEvent,
    MemberRemoved,
    MemberSet,
    ProjectChanged,
    ProjectMade,
    ProjectRemoved,
    RequestAnswered,
    TokenIssued,
    TokenRevoked,
    UserAdded,
    UserChanged,
    UserRemoved,
)
from raykqi.domain.data import TreeRef
from raykqi.domain.endpoint_events import EndpointEvent
from raykqi.domain.order import Attempt, Stored
from raykqi.domain.plan import Definition, PlanSettings
from raykqi.domain.run import Cause, Exit, RunStatus, Stopping, Usage
from raykqi.domain.tags import Tag

__all__ = [
    "BacklogChanged",
    "DataPurged",
    "DataRemoved",
    "Event",
    "MemberRemoved",
    "MemberSet",
    "NewData",
    "ObjectsCollected",
    "ObjectsCondemned",
    "PlanApplied",
    "PlanChanged",
    "PlanHeld",
    "ProjectChanged",
    "ProjectMade",
    "ProjectRemoved",
    "RequestAnswered",
    "RunCreated",
    "RunEnded",
    "RunHeld",
    "RunInput",
    "RunOutput",
    "RunRecorded",
    "RunRemoved",
    "RunRetried",
    "RunsMoved",
    "RunsRequeued",
    "TagsChanged",
    "TokenIssued",
    "TokenRevoked",
    "UserAdded",
    "UserChanged",
    "UserRemoved",
]


class RunInput(msgspec.Struct, frozen=True, gc=False):
    name: str
    data: str


class RunOutput(msgspec.Struct, frozen=True, gc=False):
    name: str
    data: str
    tree: TreeRef
    tags: tuple[Tag, ...] = ()


class RunRecorded(msgspec.Struct, frozen=True, gc=False, tag="run.recorded", tag_field="action"):
    """A run that had already ended when the workspace heard of it: an upload, an import, work by hand."""

    at: datetime
    by: str
    run: str
    plan: str
    inputs: tuple[RunInput, ...]
    outputs: tuple[RunOutput, ...]
    project: str = "default"


class TagsChanged(msgspec.Struct, frozen=True, gc=False, tag="tags.changed", tag_field="action"):
    """Exactly the tags that were there and are gone, and those that were not there and are now."""

    at: datetime
    by: str
    data: str
    removed: tuple[Tag, ...] = ()
    added: tuple[Tag, ...] = ()


class DataPurged(msgspec.Struct, frozen=True, gc=False, tag="data.purged", tag_field="action"):
    """The bytes may go; record, tags and lineage stay."""

    at: datetime
    by: str
    data: str
    reason: str


class DataRemoved(msgspec.Struct, frozen=True, gc=False, tag="data.removed", tag_field="action"):
    """The bytes may go and `find` forgets it; lineage keeps a tombstone."""

    at: datetime
    by: str
    data: str
    reason: str


class ObjectsCondemned(msgspec.Struct, frozen=True, gc=False, tag="objects.condemned", tag_field="action"):
    """`gc` is about to delete these objects; no upload may rely on them any more."""

    at: datetime
    by: str
    generation: int
    objects: tuple[str, ...]


class ObjectsCollected(msgspec.Struct, frozen=True, gc=False, tag="objects.collected", tag_field="action"):
    """The objects condemned in `generation` are gone."""

    at: datetime
    by: str
    generation: int
    bytes: int


class PlanApplied(msgspec.Struct, frozen=True, gc=False, tag="plan.applied", tag_field="action"):
    at: datetime
    by: str
    plan: str
    digest: str
    definition: Definition
    settings: PlanSettings
    project: str = "default"


class PlanChanged(msgspec.Struct, frozen=True, gc=False, tag="plan.changed", tag_field="action"):
    """All of its settings as they are now. Switching it off or on moves its runs that have not begun."""

    at: datetime
    by: str
    plan: str
    settings: PlanSettings


class BacklogChanged(msgspec.Struct, frozen=True, gc=False, tag="plan.backlog", tag_field="action"):
    """Whether matches are held back, because too many runs of the plan wait already."""

    at: datetime
    plan: str
    backlog: bool


class PlanHeld(msgspec.Struct, frozen=True, gc=False, tag="plan.held", tag_field="action"):
    """Why no run of the plan can start, such as that no node has what it asks for; "" when that is over."""

    at: datetime
    plan: str
    reason: str


class NewData(msgspec.Struct, frozen=True, gc=False):
    """A data that a run is going to make."""

    name: str
    data: str
    tags: tuple[Tag, ...] = ()


class RunCreated(msgspec.Struct, frozen=True, gc=False, tag="run.created", tag_field="action"):
    """An assignment of a plan. An input with `take: all` is there once for each of its data."""

    at: datetime
    by: str
    run: str
    plan: str
    status: RunStatus
    inputs: tuple[RunInput, ...]
    outputs: tuple[NewData, ...]
    cause: Cause
    project: str = "default"


class RunsMoved(msgspec.Struct, frozen=True, gc=False, tag="runs.moved", tag_field="action"):
    """Runs that go on to `status`, each with the number of its attempt; `executor` is who carries them out."""

    at: datetime
    by: str
    status: RunStatus
    runs: tuple[Attempt, ...]
    stopping: Stopping = ""
    reason: str = ""
    node: str = ""
    executor: str = ""


class RunHeld(msgspec.Struct, frozen=True, gc=False, tag="run.held", tag_field="action"):
    """Why the next step of a run is not made yet, such as that a hook refuses it; "" when that is over."""

    at: datetime
    run: str
    attempt: int
    reason: str


class RunsRequeued(msgspec.Struct, frozen=True, gc=False, tag="runs.requeued", tag_field="action"):
    """Attempts that failed or were lost; the runs wait again, at least until `after`. `tries` counts failures."""

    at: datetime
    by: str
    runs: tuple[Attempt, ...]
    reason: str
    status: RunStatus = "waiting"
    after: datetime | None = None
    tries: int | None = None


class RunEnded(msgspec.Struct, frozen=True, gc=False, tag="run.ended", tag_field="action"):
    """`done` makes its outputs data that others may match; the outputs of `failed` runs can be looked at."""

    at: datetime
    by: str
    run: str
    attempt: int
    status: RunStatus
    exit: Exit
    stored: tuple[Stored, ...]
    usage: Usage | None = None
    node: str = ""
    reused_from: str = ""
    started: datetime | None = None  # of runs that were over before anybody could say that they had begun


class RunRetried(msgspec.Struct, frozen=True, gc=False, tag="run.retried", tag_field="action"):
    """By a user: what the run had made, `replaced`, gives way to new data, and it begins again."""

    at: datetime
    by: str
    run: str
    status: RunStatus
    outputs: tuple[NewData, ...]
    replaced: tuple[str, ...] = ()
    project: str = "default"


class RunRemoved(msgspec.Struct, frozen=True, gc=False, tag="run.removed", tag_field="action"):
    """What it made is removed; the run stays as `invalidated`, so that its assignment never runs again."""

    at: datetime
    by: str
    run: str
    outputs: tuple[str, ...] = ()
    reason: str = ""


Event = (
    RunRecorded
    | TagsChanged
    | DataPurged
    | DataRemoved
    | ObjectsCondemned
    | ObjectsCollected
    | PlanApplied
    | PlanChanged
    | BacklogChanged
    | PlanHeld
    | RunCreated
    | RunsMoved
    | RunHeld
    | RunsRequeued
    | RunEnded
    | RunRetried
    | RunRemoved
    | AccessEvent
    | EndpointEvent
)
