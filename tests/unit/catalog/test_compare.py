"""Two indexes are the same only when every row of every table is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.catalog.compare import differing_tables
from raykqi.catalog.index import Index
from raykqi.domain.events import ObjectsCondemned
from tests.unit.catalog.history import fold, minute, purged, recorded, retagged

HISTORY = [
    recorded(1, [1], tags=["a:1", "b:2"]),
    recorded(2, [2], [1]),
    retagged(1, removed=["a:1"], added=["c:3"]),
    purged(1),
    ObjectsCondemned(minute(1), "taro", 1, ("packs/ab/x",)),
]


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[Index, Index]]:
    one, other = Index(None, "test"), Index(None, "test")
    fold(one, HISTORY)
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE run SET plan = 'other' WHERE number = 1", "run"),
        ("DELETE FROM run_input", "run_input"),
        ("UPDATE data SET size = size + 1 WHERE number = 2", "data"),
        ("INSERT INTO tag SELECT * FROM tag LIMIT 1", "tag"),
        ("UPDATE tag_past SET removed_by = 'nobody'", "tag_past"),
        ("UPDATE tombstone SET reason = ''", "tombstone"),
        ("DELETE FROM condemned", "condemned"),
        ("UPDATE posting SET data = 3 - data", "posting"),
        ("UPDATE meta SET value = replace(value, '\"seq\":1', '\"seq\":2') WHERE key = 'position'", "meta"),
    ],
)
def test_a_difference_is_named_by_its_table(twins: tuple[Index, Index], statement: str, table: str) -> None:
    one, other = twins
    other.start_over()
    fold(other, HISTORY)
    assert differing_tables(one, other) == ()

    with other.transaction() as connection:
        connection.execute(statement)

    assert differing_tables(one, other) == (table,)


def test_the_order_of_rows_does_not_matter(twins: tuple[Index, Index]) -> None:
    one, other = twins
    other.start_over()
    fold(other, HISTORY)

    with other.transaction() as connection:
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM data ORDER BY number DESC")
        connection.execute("DELETE FROM data")
        connection.execute("INSERT INTO data SELECT * FROM kept")

    assert differing_tables(one, other) == ()
