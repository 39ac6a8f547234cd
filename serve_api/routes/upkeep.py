"""Upkeep, for administrators of the workspace: collect garbage, check, take a snapshot, begin the index anew."""

from __future__ import annotations

from typing import Annotated

import msgspec

from raykqi.domain.upkeep import Collection, Finding, Report
from serve_api.asking import Asked
from serve_api.routing import PREFIX, Routes

__all__ = ["routes"]

LONGEST_GRACE = 10 * 365 * 86_400.0
routes = Routes("upkeep", prefix=f"{PREFIX}/upkeep")


class Collecting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Objects that are younger than `grace_seconds` stay: an upload may be about to need them."""

    dry_run: bool = False
    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_GRACE)] = 3600.0


class Checking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`deep` reads all bytes; `repair` mends what can be mended."""

    deep: bool = False
    repair: bool = False


class Rebuilding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    from_snapshot: bool = True


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class SnapshotTaken(msgspec.Struct, frozen=True):
    key: str


class Compacted(msgspec.Struct, frozen=True):
    entries: int


class Rebuilt(msgspec.Struct, frozen=True):
    """Up to which entry of the journal."""

    seq: int


@routes.post("/gc", needs="workspace", example=Collecting(dry_run=True))
def collect_garbage(asked: Asked, body: Collecting) -> Collection:
    """Delete objects that no data needs"""
    return asked.workspace.gc(dry_run=body.dry_run, grace_seconds=body.grace_seconds)


@routes.post("/fsck", needs="workspace", example=Checking())
def check_workspace(asked: Asked, body: Checking) -> Report:
    """Check every promise about what is stored"""
    return asked.workspace.fsck(deep=body.deep, repair=body.repair)


@routes.post("/snapshot", needs="workspace", example=Nothing())
def take_snapshot(asked: Asked, body: Nothing) -> SnapshotTaken:
    """Write the index as Parquet, so that others open quickly and plain DuckDB can query it"""
    return SnapshotTaken(asked.workspace.snapshot())


@routes.post("/rebuild", needs="workspace", example=Rebuilding())
def rebuild_index(asked: Asked, body: Rebuilding) -> Rebuilt:
    """Make the index of the replica that answers anew, from snapshot and journal"""
    asked.workspace.rebuild(from_snapshot=body.from_snapshot)
    return Rebuilt(asked.workspace.seq)


@routes.post("/compact", needs="workspace", example=Nothing())
def compact_journal(asked: Asked, body: Nothing) -> Compacted:
    """Join old journal entries into few objects"""
    return Compacted(asked.workspace.compact())


@routes.get("/doctor", needs="workspace")
def examine_workspace(asked: Asked) -> list[Finding]:
    """Is this workspace, and the server's access to it, in good health?"""
    return asked.workspace.doctor()
