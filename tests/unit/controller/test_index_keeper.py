"""The index follows the journal, is made anew when it is damaged, and shows readers all or nothing of that."""

from __future__ import annotations

import logging
import threading

import pytest

from raykqi.catalog.compare import differing_tables
from raykqi.catalog.index import Index, IndexDamaged
from raykqi.catalog.snapshot import save_snapshot
from raykqi.controller.controller import Controller
from raykqi.controller.index_keeper import IndexKeeper
from raykqi.errors import Conflict, StorageUnavailable, UnknownId
from raykqi.journal.log import Journal
from tests.unit.controller.stores import FailingStore
from tests.unit.controller.test_group_commit import GOOD, made, retag, upload

_COUNT = "SELECT count(*) FROM data"


def count(keeper: IndexKeeper) -> int:
    return keeper.sound(lambda: int(keeper.index.rows(_COUNT)[0][0]))


@pytest.fixture
def keeper(controller: Controller) -> IndexKeeper:
    """Of a workspace with three data, one of them tagged anew."""
    data = [made(controller.submit(upload())) for _ in range(3)]
    controller.submit(retag(data[0]))
    return controller.keeper


def anew(store: FailingStore, *, from_snapshot: bool) -> Index:
    index = Index(None, "test")
    IndexKeeper(store, Journal(store), index).rebuild(from_snapshot=from_snapshot)
    return index


@pytest.mark.parametrize("from_snapshot", [True, False])
def test_an_index_made_anew_is_the_same(keeper: IndexKeeper, store: FailingStore, from_snapshot: bool) -> None:
    index = anew(store, from_snapshot=from_snapshot)

    assert differing_tables(keeper.index, index) == ()
    index.close()


def test_an_index_from_a_snapshot_and_what_came_since_is_the_same(
    controller: Controller, keeper: IndexKeeper, store: FailingStore
) -> None:
    save_snapshot(store, keeper.index)
    controller.submit(upload())
    store.delete([f"journal/{1:020d}.jsonl"])

    index = anew(store, from_snapshot=True)

    assert differing_tables(keeper.index, index) == ()
    index.close()


def test_a_snapshot_of_nothing_is_a_snapshot(controller: Controller, store: FailingStore) -> None:
    controller.refresh()
    save_snapshot(store, controller.keeper.index)

    index = anew(store, from_snapshot=True)

    assert differing_tables(controller.keeper.index, index) == ()
    assert made(controller.submit(upload()))
    index.close()


@pytest.mark.parametrize("name", ["data.parquet", "manifest.json"])
def test_a_damaged_snapshot_is_left_aside(
    keeper: IndexKeeper, store: FailingStore, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = save_snapshot(store, keeper.index).key("data").replace("data.parquet", name)
    store.put(key, store.get(key)[:-40] + bytes(40))

    with caplog.at_level(logging.WARNING):
        index = anew(store, from_snapshot=True)

    assert differing_tables(keeper.index, index) == ()
    assert [record.message.split(":")[0] for record in caplog.records] == ["the newest snapshot is left aside"]
    assert key in caplog.text
    index.close()


def test_a_damaged_index_is_made_anew_for_whoever_reads_it(
    keeper: IndexKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    reads = []

    def read() -> int:
        reads.append("read")
        if len(reads) == 1:
            raise IndexDamaged("a block is damaged")
        return count(keeper)

    with caplog.at_level(logging.WARNING):
        assert keeper.sound(read) == 3

    assert caplog.messages == ["the index is made anew: a block is damaged"]


def test_a_damage_that_stays_is_reported_after_one_try(keeper: IndexKeeper) -> None:
    reads = []

    def read() -> int:
        reads.append("read")
        raise IndexDamaged("a block is damaged")

    with pytest.raises(IndexDamaged):
        keeper.sound(read)

    assert len(reads) == 2


def test_readers_never_see_an_index_that_is_being_made_anew(keeper: IndexKeeper, store: FailingStore) -> None:
    ended = threading.Event()
    seen: set[object] = set()

    def read() -> int:
        ((found,),) = keeper.index.rows(_COUNT)
        if not found:
            raise UnknownId("there is no data")
        return int(found)

    def look() -> None:
        while not ended.is_set():
            try:
                seen.add(keeper.sound(read))
            except Exception as error:
                seen.add(repr(error))

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(25):
        keeper.rebuild()
    ended.set()
    for reader in readers:
        reader.join()

    assert seen == {3}


def test_a_failed_rebuild_is_taken_up_by_the_next_reader(keeper: IndexKeeper, store: FailingStore) -> None:
    store.is_away = True
    with pytest.raises(StorageUnavailable):
        keeper.rebuild()
    with pytest.raises(StorageUnavailable):
        count(keeper)

    store.is_away = False

    assert count(keeper) == 3


def test_an_index_of_another_history_is_made_anew(keeper: IndexKeeper, store: FailingStore) -> None:
    index = Index(None, "test")
    strange = IndexKeeper(store, Journal(store), index)
    with strange.advancing() as advance:
        advance.reach(2, "f" * 64, 1, keeper.position.time)

    IndexKeeper(store, Journal(store), index).catch_up()

    assert differing_tables(index, keeper.index) == ()
    index.close()


def test_a_transaction_that_fails_leaves_rows_and_position(keeper: IndexKeeper) -> None:
    before = keeper.position

    with pytest.raises(RuntimeError), keeper.advancing() as advance:
        advance.connection.execute("DELETE FROM data")
        advance.reach(99, "f" * 64, 9, before.time)
        raise RuntimeError

    assert keeper.position == before
    assert count(keeper) == 3


def test_a_closed_index_stays_closed(keeper: IndexKeeper) -> None:
    keeper.index.close()

    for attempt in (lambda: count(keeper), keeper.rebuild, keeper.catch_up):
        with pytest.raises(Conflict, match="the workspace is closed"):
            attempt()
    keeper.index.close()


def test_an_index_that_cannot_follow_is_made_anew_and_the_command_stands(
    controller: Controller, keeper: IndexKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    with keeper.index.transaction() as connection:
        connection.execute("DROP TABLE tag_past")
    ((data,),) = keeper.index.rows("SELECT max(id)::VARCHAR FROM data")

    with caplog.at_level(logging.WARNING):
        assert len(controller.submit(retag(data))) == 1

    assert keeper.index.rows("SELECT count(*) FROM tag WHERE key = ?", [GOOD.key]) == [(2,)]
