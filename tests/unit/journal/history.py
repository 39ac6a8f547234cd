"""Small histories to test with: events with literal values, journals of a given length."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from raykqi.domain.data import TreeRef
from raykqi.domain.events import DataPurged, Event, RunOutput, RunRecorded, TagsChanged
from raykqi.domain.tags import Tag
from raykqi.journal.codec import GENESIS, Entry
from raykqi.journal.log import Journal
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)

RECORDED = RunRecorded(
    at=NOON,
    by="田中",
    run="0193a000-0000-7000-8000-000000000001",
    plan="raykqi#uploaded",
    inputs=(),
    outputs=(
        RunOutput(
            "out", "0193a000-0000-7000-8000-000000000002", TreeRef("a" * 64, 1234, 5), (Tag("種類", "データ:集合"),)
        ),
    ),
)
TAGGED = TagsChanged(at=NOON, by="sato", data="0193a000-0000-7000-8000-000000000002", added=(Tag("stage", "clean"),))


def purged(reason: str) -> DataPurged:
    return DataPurged(at=NOON, by="sato", data="0193a000-0000-7000-8000-000000000002", reason=reason)


def append(journal: Journal, last: Entry | None, *events: Event, epoch: int = 1) -> Entry:
    """The entry after `last`, a second later."""
    seq = last.seq + 1 if last else 1
    return journal.append(
        seq=seq,
        epoch=epoch,
        time=NOON + timedelta(seconds=seq),
        prev=last.hash if last else GENESIS,
        events=events or (purged(f"reason {seq}"),),
    )


def fill(store: Store, entries: int) -> list[Entry]:
    """A journal of that many entries of one event each."""
    journal, written = Journal(store, writer="host:1:first"), list[Entry]()
    for _ in range(entries):
        written.append(append(journal, written[-1] if written else None))
    return written


def local_store(folder: Path) -> Store:
    return open_store(str(folder), Settings())


def reasons(entries: Iterator[Entry]) -> list[str]:
    return [event.reason for entry in entries for event in entry.events if isinstance(event, DataPurged)]
