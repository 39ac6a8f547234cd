"""Events as a controller would have made them, with ids that are short to write, and an index to fold them into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from raykqi.catalog.apply import apply_events
from raykqi.catalog.index import Index
from raykqi.domain.data import TreeRef
from raykqi.domain.events import DataPurged, DataRemoved, Event, RunInput, RunOutput, RunRecorded, TagsChanged
from raykqi.domain.tags import parse_tags

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def data_id(number: int) -> str:
    return f"01939c1c-0000-7000-8000-{number:012x}"


def run_id(number: int) -> str:
    return f"01939c1c-0000-7000-9000-{number:012x}"


def recorded(
    run: int,
    outputs: Sequence[int],
    inputs: Sequence[int] = (),
    *,
    tags: Iterable[str] = (),
    at: float = 0,
    by: str = "hanako",
    plan: str = "train",
    size: int = 10,
    project: str = "default",
) -> RunRecorded:
    """Run `run` made `outputs` of `inputs`, all with these tags."""
    return RunRecorded(
        minute(at),
        by,
        run_id(run),
        plan,
        tuple(RunInput(f"in{place}", data_id(data)) for place, data in enumerate(inputs)),
        tuple(
            RunOutput(f"out{place}", data_id(data), TreeRef(f"{data:064x}", size, 1), parse_tags(tags))
            for place, data in enumerate(outputs)
        ),
        project,
    )


def retagged(
    data: int, *, removed: Iterable[str] = (), added: Iterable[str] = (), at: float = 0, by: str = "taro"
) -> TagsChanged:
    return TagsChanged(minute(at), by, data_id(data), parse_tags(removed), parse_tags(added))


def purged(data: int, reason: str = "too big", *, at: float = 0, by: str = "taro") -> DataPurged:
    return DataPurged(minute(at), by, data_id(data), reason)


def removed(data: int, reason: str = "a mistake", *, at: float = 0, by: str = "taro") -> DataRemoved:
    return DataRemoved(minute(at), by, data_id(data), reason)


def fold(index: Index, events: Sequence[Event]) -> None:
    """What a controller does with an entry, without the journal."""
    with index.transaction() as connection:
        position = apply_events(connection, index.position(), events)
        position = msgspec.structs.replace(position, seq=position.seq + 1)
        text = msgspec.json.encode(position).decode()
        connection.execute("UPDATE meta SET value = ? WHERE key = 'position'", [text])
