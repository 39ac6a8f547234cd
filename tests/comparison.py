"""Is one index the same as another, row for row? Every table is read whole, sorted and compared exactly."""

from __future__ import annotations

from typing import Any

from raykqi.catalog.index import Index
from raykqi.catalog.tables import TABLES
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.journal.log import Journal
from raykqi.storage.filesystem import Store

__all__ = ["Rows", "assert_equals_journal", "assert_same", "rows_from_journal", "rows_of"]

Rows = dict[str, list[tuple[Any, ...]]]


def rows_of(index: Index) -> Rows:
    names = [str(table.__tablename__) for table in TABLES]
    return {name: sorted(index.rows(f"SELECT * FROM {name}"), key=repr) for name in (*names, "posting", "matched")}


def rows_from_journal(store: Store, workspace: str, *, from_snapshot: bool = False) -> Rows:
    """What an empty machine makes of the workspace: by default of its journal alone."""
    index = Index(None, workspace)
    try:
        IndexKeeper(store, Journal(store), index).rebuild(from_snapshot=from_snapshot)
        return rows_of(index)
    finally:
        index.close()


def assert_same(one: Rows, other: Rows) -> None:
    for table in one.keys() | other.keys():
        assert one[table] == other[table], f"table {table} differs"


def assert_equals_journal(index: Index, store: Store) -> None:
    assert_same(rows_of(index), rows_from_journal(store, index.workspace))
