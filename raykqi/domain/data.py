"""What the workspace knows about data, and the questions one may ask for them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from raykqi.domain.filters import Filter
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidInput

__all__ = ["Data", "DataQuery", "DataStatus", "Page", "TagChange", "TagCount"]
__all__ += ["Named", "Tombstone", "TreeRef", "Upstream", "id_of"]

DataStatus = Literal["processing", "done", "failed", "purged", "removed"]


class TreeRef(msgspec.Struct, frozen=True, gc=False):
    """A stored tree: its hash, and what `ls` would add up."""

    hash: str
    size: int
    files: int


class Upstream(msgspec.Struct, frozen=True, gc=False):
    """The run that made a data, and where in that run."""

    run: str
    plan: str
    output: str


class Tombstone(msgspec.Struct, frozen=True):
    """What remains of data that was purged or removed: when, by whom, why."""

    kind: Literal["purged", "removed"]
    at: datetime
    by: str
    reason: str


class Data(msgspec.Struct, frozen=True, gc=False):
    """One data as the workspace knows it. Its content never changes; tags, status and tombstones may."""

    id: str
    project: str
    status: DataStatus
    created: datetime
    timestamp: datetime | None
    creator: str
    tree: TreeRef
    upstream: Upstream
    tags: tuple[Tag, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()

    @property
    def name(self) -> str:
        """The first `name:` tag, or nothing."""
        return next((tag.value for tag in self.tags if tag.key == "name"), "")


Named = str | Data  # data by its id, by the beginning of it, or as a call answered it


def id_of(named: Named) -> str:
    """The id, or the beginning of one, that was given."""
    if isinstance(named, Data):
        return named.id
    if isinstance(named, str):
        return named
    raise InvalidInput(f"{named!r} names no data", hint="Give an id, the beginning of one, or a raykqi.Data.")


class DataQuery(msgspec.Struct, frozen=True, gc=False):
    """All conditions must hold. `without` lists tags that must be absent. Newest first."""

    tags: tuple[Tag, ...] = ()
    without: tuple[Tag, ...] = ()
    id_prefix: str = ""
    name: str = ""
    since: datetime | None = None
    until: datetime | None = None
    min_size: int | None = None
    max_size: int | None = None
    creator: str = ""
    upstream_run: str = ""
    project: str = "default"
    oldest_first: bool = False
    filters: tuple[Filter, ...] = ()


class Page(msgspec.Struct, frozen=True, gc=False):
    items: tuple[Data, ...]
    next_cursor: str = ""


class TagCount(msgspec.Struct, frozen=True, gc=False):
    key: str
    value: str
    count: int


class TagChange(msgspec.Struct, frozen=True, gc=False):
    """What really changed on one data."""

    data: str
    removed: tuple[Tag, ...]
    added: tuple[Tag, ...]
