"""Snapshots are whole or not there, and their tables are what was written."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raykqi.errors import Damaged, StorageError, StorageUnavailable, WorkspaceTooNew
from raykqi.journal.snapshot import (
    Snapshot,
    latest_snapshot,
    list_snapshots,
    read_snapshot,
    remove_older,
    write_snapshot,
)
from raykqi.storage.filesystem import Store
from raykqi.storage.filesystem_memory import MemoryStore
from tests.unit.journal.history import NOON


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    pq.write_table(pa.table({"id": ["a", "b"], "name": ["犬", "猫"]}), tmp_path / "data.parquet")
    pq.write_table(pa.table({"key": ["type"]}), tmp_path / "tag.parquet")
    return {"data": tmp_path / "data.parquet", "tag": tmp_path / "tag.parquet"}


def write(store: Store, seq: int, tables: dict[str, Path], digest: str = "c" * 64) -> Snapshot:
    return write_snapshot(store, seq=seq, hash=digest, epoch=3, time=NOON, tables=tables)


def keys(store: Store) -> Iterable[str]:
    return [info.key.removeprefix("snapshots/0000000000000000") for info in store.list("snapshots")]


def test_without_snapshots_there_is_no_latest(store: Store) -> None:
    assert latest_snapshot(store) is None
    assert remove_older(store) == []


def test_a_snapshot_is_found_and_its_tables_fetched(store: Store, tables: dict[str, Path], tmp_path: Path) -> None:
    write(store, 7, tables)

    found = latest_snapshot(store)

    assert found is not None
    assert (found.seq, found.hash, found.epoch, found.time) == (7, "c" * 64, 3, NOON)
    found.fetch("data", tmp_path / "fetched.parquet")
    assert pq.read_table(tmp_path / "fetched.parquet").to_pydict() == {"id": ["a", "b"], "name": ["犬", "猫"]}
    assert sorted(path.name for path in tmp_path.glob("fetched*")) == ["fetched.parquet"]


def test_the_manifest_says_what_others_need(store: Store, tables: dict[str, Path]) -> None:
    write(store, 7, tables)

    manifest = json.loads(store.get("snapshots/00000000000000000007/manifest.json"))

    assert {key: manifest[key] for key in ("format", "seq", "hash", "epoch", "time")} == {
        "format": 4,
        "seq": 7,
        "hash": "c" * 64,
        "epoch": 3,
        "time": "2026-11-20T12:00:00.123456Z",
    }
    assert manifest["tables"]["data"]["rows"] == 2
    assert manifest["tables"]["data"]["size"] == tables["data"].stat().st_size
    assert sorted(manifest["tables"]) == ["data", "tag"]


def test_the_newest_complete_one_counts(store: Store, tables: dict[str, Path]) -> None:
    write(store, 7, tables)
    write(store, 12, tables)
    write(store, 30, tables)
    store.delete(["snapshots/00000000000000000030/manifest.json"])

    found = latest_snapshot(store)

    assert found is not None
    assert found.seq == 12
    assert list_snapshots(store) == [7, 12]


def test_writing_the_same_snapshot_again_changes_nothing(store: Store, tables: dict[str, Path]) -> None:
    first = write(store, 7, tables)
    pq.write_table(pa.table({"id": ["other"]}), tables["data"])

    assert write(store, 7, tables) == first
    write(store, 7, tables, digest="d" * 64)

    assert read_snapshot(store, 7).hash == "d" * 64
    assert read_snapshot(store, 7).tables["data"].rows == 1


def test_old_and_unfinished_ones_are_removed(store: Store, tables: dict[str, Path]) -> None:
    for seq in (1, 2, 3, 4, 5):
        write(store, seq, tables)
    for seq in (2, 5):
        store.delete([f"snapshots/{seq:020d}/manifest.json"])

    assert remove_older(store, keep=2) == [1, 2]

    assert keys(store) == [
        *(f"000{seq}/{name}" for seq in (3, 4) for name in ("data.parquet", "manifest.json", "tag.parquet")),
        "0005/data.parquet",
        "0005/tag.parquet",
    ]


class StopsAfterOne(MemoryStore):
    """Goes away after the first object of a deletion."""

    def delete(self, keys: Iterable[str]) -> None:
        super().delete(list(keys)[:1])
        raise StorageUnavailable("connection refused")


def test_a_removal_that_is_cut_short_leaves_no_half_snapshot(tables: dict[str, Path]) -> None:
    store = StopsAfterOne(uuid.uuid4().hex)
    for seq in (1, 2, 3):
        write(store, seq, tables)

    with pytest.raises(StorageUnavailable):
        remove_older(store, keep=2)

    assert list_snapshots(store) == [2, 3]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]])
def test_a_damaged_table_is_named_and_not_delivered(
    store: Store, tables: dict[str, Path], tmp_path: Path, change: object
) -> None:
    assert callable(change)
    key = write(store, 7, tables).key("data")
    store.put(key, change(store.get(key)))

    with pytest.raises(Damaged, match=r"snapshots/00000000000000000007/data\.parquet is damaged: its \d+ bytes"):
        read_snapshot(store, 7).fetch("data", tmp_path / "fetched.parquet")

    assert list(tmp_path.glob("fetched*")) == []


def test_a_missing_table_is_named(store: Store, tables: dict[str, Path], tmp_path: Path) -> None:
    snapshot = write(store, 7, tables)
    store.delete([snapshot.key("tag")])

    with pytest.raises(Damaged, match=r"tag\.parquet is damaged: it is missing, though the manifest names it"):
        snapshot.fetch("tag", tmp_path / "fetched.parquet")
    with pytest.raises(Damaged, match="it names no table 'runs'"):
        snapshot.fetch("runs", tmp_path / "fetched.parquet")


def test_a_target_that_cannot_be_written_is_named(store: Store, tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*nowhere.*: No such file or directory"):
        write(store, 7, tables).fetch("tag", tmp_path / "nowhere" / "tag.parquet")


@pytest.mark.parametrize("text", [b"", b"{}", b"[" * 100_000, b'{"format":4}', b'{"format":1,"seq":8}', b"\xff"])
def test_a_damaged_manifest_is_named(store: Store, tables: dict[str, Path], text: bytes) -> None:
    write(store, 7, tables)
    store.put("snapshots/00000000000000000007/manifest.json", text)

    with pytest.raises(Damaged, match=r"snapshots/00000000000000000007/manifest\.json is damaged") as error:
        latest_snapshot(store)
    assert "Nothing is lost" in error.value.hint


def test_a_manifest_of_another_entry_is_damage(store: Store, tables: dict[str, Path]) -> None:
    write(store, 7, tables)
    store.put("snapshots/00000000000000000008/manifest.json", store.get("snapshots/00000000000000000007/manifest.json"))

    with pytest.raises(Damaged, match="it says that it is of entry 7"):
        latest_snapshot(store)


def test_a_newer_format_asks_for_an_upgrade(store: Store) -> None:
    store.put("snapshots/00000000000000000008/manifest.json", b'{"format":5,"shards":[]}')

    with pytest.raises(WorkspaceTooNew, match="has format 5; this program knows 4"):
        latest_snapshot(store)
