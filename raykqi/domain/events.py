"""The events: everything that ever happened to a workspace, as small typed values.

An event holds every id, time and choice that was made, so that folding the same events twice gives
the same index (P10). One `action` a class; `Event` is the union that journals hold.
Nothing is ever taken out of this file: old journals stay readable.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from raykqi.domain.data import TreeRef
from raykqi.domain.tags import Tag

__all__ = [
    "DataPurged",
    "DataRemoved",
    "Event",
    "ObjectsCollected",
    "ObjectsCondemned",
    "RunInput",
    "RunOutput",
    "RunRecorded",
    "TagsChanged",
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


Event = RunRecorded | TagsChanged | DataPurged | DataRemoved | ObjectsCondemned | ObjectsCollected
