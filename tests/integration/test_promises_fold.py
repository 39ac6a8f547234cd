"""P10, the fold is pure: the same events make the same rows, however they are grouped and whoever folds them.

The oracle folds one event at a time in plain Python, so the set-based statements have something to be equal to.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raykqi.catalog.apply import apply_events
from raykqi.catalog.index import Index, Position
from raykqi.domain.data import TreeRef
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    RunInput,
    RunOutput,
    RunRecorded,
    TagsChanged,
)
from raykqi.domain.tags import Tag
from tests.comparison import Rows, rows_of

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
TAGS = [Tag("type", "dataset"), Tag("type", "model"), Tag("split", "train"), Tag("言語", "日本語"), Tag("note", "")]

tag_sets = st.sets(st.sampled_from(TAGS), max_size=3)
which = st.integers(0, 7)
ops = st.one_of(
    st.tuples(st.just("push"), tag_sets, st.sets(which, max_size=2)),
    st.tuples(st.just("retag"), which, tag_sets),
    st.tuples(st.just("retag"), which, tag_sets),
    st.tuples(st.just("bury"), which, st.sampled_from(["purged", "removed"])),
    st.tuples(st.just("condemn"), which, st.none()),
    st.tuples(st.just("collect"), which, st.none()),
)
histories = st.lists(ops, min_size=5, max_size=30)


def events_of(history: Sequence[tuple[Any, ...]]) -> list[Event]:
    """What a controller could have decided: it takes off only what is there and adds only what is not."""
    events: list[Event] = []
    data: list[str] = []
    tags: dict[str, set[Tag]] = {}
    status: dict[str, str] = {}
    generation, open_generation = 0, 0
    for number, (op, first, second) in enumerate(history):
        at, by = START + timedelta(milliseconds=number // 3), f"user{number % 2}"
        if op == "push" or not data:
            wanted, taken = (first, second) if op == "push" else (set(), set())
            id_ = str(uuid.UUID(int=2 * number + 1))
            inputs = tuple(RunInput(f"in{n}", data[n % len(data)]) for n in sorted(taken) if data)
            output = RunOutput("/out", id_, TreeRef(f"{number % 5:064x}", number, 1), tuple(sorted(wanted)))
            events.append(RunRecorded(at, by, str(uuid.UUID(int=2 * number)), "plan", inputs, (output,)))
            data.append(id_)
            tags[id_], status[id_] = set(wanted), "done"
        elif op == "retag":
            id_ = data[first % len(data)]
            there, flipped = tags[id_], second
            tags[id_] = there ^ flipped
            removed, added = tuple(sorted(there & flipped)), tuple(sorted(flipped - there))
            events.append(TagsChanged(at, by, id_, removed, added))
        elif op == "bury":
            id_ = data[first % len(data)]
            if status[id_] == "done" or (status[id_] == "purged" and second == "removed"):
                status[id_] = second
                event = DataPurged if second == "purged" else DataRemoved
                events.append(event(at, by, id_, f"reason {number}"))
        elif op == "condemn" and not open_generation:
            generation = open_generation = generation + 1
            events.append(ObjectsCondemned(at, by, generation, (f"blobs/{number}", f"packs/{number}")))
        elif op == "collect" and open_generation:
            events.append(ObjectsCollected(at, by, open_generation, 10))
            open_generation = 0
    return events


ACCESS = ("project", "member", "user_account", "token", "answered")
ENDPOINTS = ("endpoint", "revision", "revision_move", "job")


def oracle(events: Sequence[Event]) -> Rows:
    """The tables, one event after the other; `posting` by tag instead of by hash."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        name: []
        for name in ("run", "run_input", "data", "tag", "tag_past", "tombstone", "condemned", "posting", "deed")
    } | {name: [] for name in (*ACCESS, *ENDPOINTS)}
    numbers: dict[str, int] = {}
    runs = 0
    for event in events:
        at, by = event.at.replace(tzinfo=None), event.by
        if isinstance(event, RunRecorded):
            runs += 1
            born = (runs, uuid.UUID(event.run), event.project, event.plan, "done", at, at, by)
            rows["run"].append((*born, *RECORDED, at, 0, *UNTOLD))
            rows["run_input"] += [(runs, given.name, numbers[given.data]) for given in event.inputs]
            for out in event.outputs:
                numbers[out.data] = number = len(numbers) + 1
                born = (number, uuid.UUID(out.data), event.project, runs, out.name, "done", at, at, by)
                rows["data"].append((*born, out.tree.hash, out.tree.size, out.tree.files))
                rows["tag"] += [(number, *tag, at, by) for tag in out.tags]
        elif isinstance(event, TagsChanged):
            number = numbers[event.data]
            for tag in event.removed:
                (row,) = (row for row in rows["tag"] if row[:3] == (number, *tag))
                rows["tag"].remove(row)
                rows["tag_past"].append((*row, at, by))
            rows["tag"] += [(number, *tag, at, by) for tag in event.added]
        elif isinstance(event, DataPurged | DataRemoved):
            number, kind = numbers[event.data], "purged" if isinstance(event, DataPurged) else "removed"
            rows["data"] = [(*row[:5], kind, *row[6:]) if row[0] == number else row for row in rows["data"]]
            rows["tombstone"].append((number, kind, at, by, event.reason))
        elif isinstance(event, ObjectsCondemned):
            rows["condemned"] += [(key, event.generation) for key in event.objects]
        else:
            rows["condemned"] = [row for row in rows["condemned"] if row[1] != event.generation]
            what = ("", "objects.collected", f"collection {event.generation}", "10 bytes")
            rows["deed"].append((len(rows["deed"]) + 1, at, by, *what))
    rows["posting"] = [(row[1], row[2], row[0]) for row in rows["tag"]]
    return {name: sorted(its, key=repr) for name, its in rows.items()}


# What a run has beside these when it was recorded as done: attempt, tries, stopping, started; the rest after its end.
RECORDED = (0, 0, "", None)
UNTOLD = ("", "", "", "", None, None, None, "")


def fold(index: Index, groups: Iterator[Sequence[Event]] | Sequence[Sequence[Event]]) -> tuple[Rows, Position]:
    index.start_over()
    position = Position()
    for group in groups:
        with index.transaction() as connection:
            position = apply_events(connection, position, group)
    rows = rows_of(index)
    rows = {name: its for name, its in rows.items() if name not in ("meta", "plan", "plan_port", "plan_tag", "matched")}
    hashes = {hash_: tag for (*tag, hash_) in index.rows("SELECT DISTINCT key, value, hash(key, value) FROM tag")}
    rows["posting"] = sorted([(*hashes[hash_], data) for hash_, data in rows["posting"]], key=repr)
    return rows, position


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    made = Index(None, "test")
    yield made
    made.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, cuts=st.sets(st.integers(1, 29), max_size=4))
def test_p10_events_make_the_same_rows_in_any_grouping(
    index: Index, history: list[tuple[Any, ...]], cuts: set[int]
) -> None:
    events = events_of(history)
    bounds = sorted({0, len(events), *(cut for cut in cuts if cut < len(events))})

    whole, position = fold(index, [events])
    in_pieces, other_position = fold(index, [events[start:end] for start, end in pairwise(bounds)])

    assert whole == oracle(events)
    assert in_pieces == whole
    assert other_position == position


def test_p10_a_tag_that_comes_and_goes_within_one_batch_leaves_its_past(index: Index) -> None:
    tag, other = Tag("split", "train"), Tag("type", "dataset")
    history = [("push", {tag}, set()), *[("retag", 0, {tag, other})] * 4, ("retag", 0, {tag})]

    rows, _ = fold(index, [events_of(history)])

    assert [row[1:3] for row in rows["tag"]] == []
    assert [row[1:3] for row in rows["tag_past"]] == [tag, tag, tag, other, other]
    assert rows["posting"] == []


def test_p10_data_purged_and_then_removed_in_one_batch_has_both_tombstones(index: Index) -> None:
    history = [("push", set(), set()), ("bury", 0, "purged"), ("bury", 0, "removed")]

    rows, _ = fold(index, [events_of(history)])

    assert [row[5] for row in rows["data"]] == ["removed"]
    assert [(row[1], row[4]) for row in rows["tombstone"]] == [("purged", "reason 1"), ("removed", "reason 2")]
