"""The fold, in sets: what many events come to at once, and which numbers they leave behind."""

from __future__ import annotations

import pytest

from raykqi.catalog.apply import apply_events, sort_postings
from raykqi.catalog.compare import differing_tables
from raykqi.catalog.folding import ROUND_EVENTS
from raykqi.catalog.index import Index, Position
from raykqi.domain.events import Event, ObjectsCollected, ObjectsCondemned
from tests.comparison import rows_of
from tests.unit.catalog.history import data_id, fold, minute, purged, recorded, removed, retagged, run_id


def test_a_run_brings_its_inputs_outputs_and_first_tags(index: Index) -> None:
    fold(index, [recorded(1, [1]), recorded(2, [2, 3], [1, 1], tags=["type:model", "言語:日本語"], at=5)])

    assert index.rows("SELECT number, id::VARCHAR, plan, status, creator FROM run ORDER BY number") == [
        (1, run_id(1), "train", "done", "hanako"),
        (2, run_id(2), "train", "done", "hanako"),
    ]
    assert index.rows("SELECT * FROM run_input ORDER BY ALL") == [(2, "in0", 1), (2, "in1", 1)]
    assert index.rows("SELECT number, id::VARCHAR, run, output, status FROM data ORDER BY number") == [
        (1, data_id(1), 1, "out0", "done"),
        (2, data_id(2), 2, "out0", "done"),
        (3, data_id(3), 2, "out1", "done"),
    ]
    moment = minute(5).replace(tzinfo=None)
    assert index.rows("SELECT * FROM tag ORDER BY ALL") == [
        (2, "type", "model", moment, "hanako"),
        (2, "言語", "日本語", moment, "hanako"),
        (3, "type", "model", moment, "hanako"),
        (3, "言語", "日本語", moment, "hanako"),
    ]


def test_a_tag_that_goes_is_kept_with_who_and_when(index: Index) -> None:
    fold(index, [recorded(1, [1], tags=["split:train"], by="hanako", at=0)])
    fold(index, [retagged(1, removed=["split:train"], added=["split:test"], by="taro", at=7)])

    began, ended = minute(0).replace(tzinfo=None), minute(7).replace(tzinfo=None)
    assert index.rows("SELECT * FROM tag_past") == [(1, "split", "train", began, "hanako", ended, "taro")]
    assert index.rows("SELECT * FROM tag") == [(1, "split", "test", ended, "taro")]
    assert index.rows("SELECT count(*) FROM posting") == [(1,)]


def test_the_position_counts_what_was_folded(index: Index) -> None:
    with index.transaction() as connection:
        position = apply_events(
            connection,
            Position(),
            [
                recorded(1, [1, 2]),
                recorded(9, [3]),
                ObjectsCondemned(minute(1), "taro", 1, ("packs/ab/x", "blobs/cd/y")),
                recorded(2, []),
            ],
        )

    assert (position.runs, position.data, position.generation, position.last_id) == (3, 3, 1, run_id(9))
    assert index.rows("SELECT * FROM condemned ORDER BY ALL") == [("blobs/cd/y", 1), ("packs/ab/x", 1)]


def test_a_collection_that_ends_is_a_new_generation(index: Index) -> None:
    fold(index, [ObjectsCondemned(minute(1), "taro", 1, ("packs/ab/x",))])
    fold(index, [ObjectsCollected(minute(2), "taro", 1, 10)])

    assert index.position().generation == 2
    assert index.rows("SELECT * FROM condemned") == []


def test_events_beyond_one_round_make_the_same_rows_as_one_by_one(index: Index) -> None:
    history: list[Event] = [recorded(run, [run], [run - 1] if run > 1 else [], tags=["a:1"]) for run in range(1, 9_000)]
    history += [retagged(data, removed=["a:1"], added=["b:2"], at=data) for data in range(1, 9_000)]
    history += [purged(data, at=9_000) for data in range(1, 3_000)]
    assert len(history) > ROUND_EVENTS
    fold(index, history)
    other = Index(None, "test")
    for start in range(0, len(history), 3_000):
        fold(other, history[start : start + 3_000])

    assert [table for table in differing_tables(index, other) if table != "meta"] == []
    other.close()


def test_postings_made_at_the_end_are_those_made_on_the_way(index: Index) -> None:
    history = [
        recorded(1, [1, 2], tags=["a:1", "b:2"]),
        retagged(1, removed=["a:1"], added=["c:3"]),
        retagged(2, added=["c:3"]),
    ]
    fold(index, history)
    other = Index(None, "test")
    with other.transaction() as connection:
        apply_events(connection, Position(), history, derived=False)
        assert connection.execute("SELECT count(*) FROM posting").fetchall() == [(0,)]
        sort_postings(connection)

    assert rows_of(other)["posting"] == rows_of(index)["posting"]
    assert other.rows("SELECT count(*) FROM posting") == [(5,)]
    other.close()


def test_what_is_purged_and_removed_in_one_go_has_both_tombstones(index: Index) -> None:
    fold(index, [recorded(1, [1]), purged(1, "too big", at=1), removed(1, "a mistake", at=1)])

    assert index.rows("SELECT status FROM data") == [("removed",)]
    assert index.rows("SELECT kind, reason FROM tombstone ORDER BY kind") == [
        ("purged", "too big"),
        ("removed", "a mistake"),
    ]


def test_no_events_change_nothing(index: Index) -> None:
    with index.transaction() as connection:
        assert apply_events(connection, Position(), []) == Position()


def test_an_event_without_a_fold_is_a_mistake_of_ours_and_changes_nothing(index: Index) -> None:
    with pytest.raises(TypeError, match="no fold for str"), index.transaction() as connection:
        apply_events(connection, Position(), [recorded(1, [1]), "drop"])  # type: ignore[list-item]

    assert index.rows("SELECT count(*) FROM data") == [(0,)]
