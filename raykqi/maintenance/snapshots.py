"""Snapshots and compaction, as a user asks for them."""

from __future__ import annotations

from raykqi.catalog.snapshot import save_snapshot
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.journal.segments import compact
from raykqi.storage.filesystem import Store

__all__ = ["compact_journal", "take_snapshot"]


def take_snapshot(store: Store, keeper: IndexKeeper) -> str:
    """Write the index as Parquet; the folder it is in."""
    with keeper.writing:
        snapshot = save_snapshot(store, keeper.index)
    return snapshot.key("data").rpartition("/")[0]


def compact_journal(store: Store, keeper: IndexKeeper) -> int:
    """Join the journal's older entries into few objects; how many entries the new object holds."""
    segment = compact(store, keeper.position.seq)
    return segment.last - segment.first + 1 if segment else 0
