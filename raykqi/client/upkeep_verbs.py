"""Upkeep over HTTP, for administrators of the workspace: the server does it where the store is."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from raykqi.client.asking import API, Asking
from raykqi.domain.upkeep import Collection, Finding, Report
from raykqi.storage.progress import Progress

__all__ = ["UpkeepVerbs"]

Answer = TypeVar("Answer")


class SnapshotTaken(msgspec.Struct, frozen=True):
    key: str


class Compacted(msgspec.Struct, frozen=True):
    entries: int


class UpkeepVerbs(Asking):
    def snapshot(self) -> str:
        """Write the index as Parquet, so that opening elsewhere is quick and plain DuckDB can query it; its key."""
        return self._upkeep("snapshot", SnapshotTaken).key

    def rebuild(self, *, from_snapshot: bool = True) -> None:
        """Make the index anew from snapshot and journal, or from the journal alone."""
        self._upkeep("rebuild", msgspec.Raw, from_snapshot=from_snapshot)

    def compact(self) -> int:
        """Join old journal entries into few objects; how many entries were joined."""
        return self._upkeep("compact", Compacted).entries

    def gc(self, *, dry_run: bool = False, grace_seconds: float = 3600.0) -> Collection:
        """Delete objects that no data needs and that have been there for `grace_seconds`."""
        return self._upkeep("gc", Collection, dry_run=dry_run, grace_seconds=grace_seconds)

    def fsck(self, *, deep: bool = False, repair: bool = False, progress: Progress | None = None) -> Report:  # noqa: ARG002
        """Check every promise about what is stored; with `repair`, mend what can be mended."""
        return self._upkeep("fsck", Report, deep=deep, repair=repair)

    def doctor(self) -> list[Finding]:
        """Is this workspace, and the server's access to it, in good health?"""
        return self._transport.get(f"{API}/upkeep/doctor", list[Finding])

    def _upkeep(self, what: str, answer: type[Answer], **options: object) -> Answer:
        return self._transport.ask("POST", f"{API}/upkeep/{what}", answer, body=options, patient=True)
