"""Snapshots: the tables of the index as Parquet files, and a manifest that says what they hold.

The manifest is written last and deleted first, so tables without one are not a snapshot. Plain
DuckDB can query the files. A snapshot only saves time: the journal alone rebuilds the same index.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from blake3 import blake3

from raykqi.errors import Damaged, ObjectMissing, StorageError, StorageFull, WorkspaceTooNew
from raykqi.storage.filesystem import Store

__all__ = ["FORMAT", "Snapshot", "Table", "latest_snapshot", "list_snapshots", "read_snapshot"]
__all__ += ["remove_older", "write_snapshot"]

FORMAT = 4  # 1 knew no plans, 2 no users and projects, 3 no endpoints
SNAPSHOTS = "snapshots"
CHUNK = 4 << 20

_MANIFEST = re.compile(r"snapshots/(\d{20})/manifest\.json\Z")
_ANY = re.compile(r"snapshots/(\d{20})/")


class Table(msgspec.Struct, frozen=True):
    rows: int
    size: int
    blake3: str


class Manifest(msgspec.Struct, frozen=True):
    format: int
    seq: int
    hash: str
    epoch: int
    time: datetime
    tables: dict[str, Table]


@dataclass(frozen=True)
class Snapshot:
    """The index after entry `seq`, whose hash is `hash`, where it is stored."""

    store: Store
    seq: int
    hash: str
    epoch: int
    time: datetime
    tables: Mapping[str, Table]

    def key(self, table: str) -> str:
        return f"{_folder(self.seq)}/{table}.parquet"

    def fetch(self, table: str, into: Path) -> None:
        """Copy one table to the file `into`, which exists only if every byte is as it was written."""
        partial = into.with_name(f"{into.name}.{os.getpid()}.partial")
        try:
            self._copy(table, partial)
            partial.replace(into)
        except OSError as e:
            kind = StorageFull if e.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
            hint = f"Look at the disk that holds {into.parent}."
            raise kind(f"cannot write {into}: {e.strerror or e}", hint=hint) from e
        finally:
            partial.unlink(missing_ok=True)

    def _copy(self, table: str, into: Path) -> None:
        key, expected = self.key(table), self.tables.get(table)
        if expected is None:
            raise _damaged(_manifest(self.seq), f"it names no table {table!r}")
        digest, size = blake3(), 0
        with into.open("wb") as file:
            for chunk in self._content(key):
                digest.update(chunk)
                size += file.write(chunk)
        if (size, digest.hexdigest()) != (expected.size, expected.blake3):
            raise _damaged(key, f"its {size} bytes are not the {expected.size} that were written")

    def _content(self, key: str) -> Iterator[bytes]:
        try:
            yield from self.store.read(key, chunk=CHUNK)
        except ObjectMissing as e:
            raise _damaged(key, "it is missing, though the manifest names it") from e


def write_snapshot(
    store: Store,
    *,
    seq: int,
    hash: str,  # noqa: A002  as the manifest calls it
    epoch: int,
    time: datetime,
    tables: Mapping[str, Path],
) -> Snapshot:
    """Store these Parquet files as the snapshot at `seq`, unless it is there already."""
    if store.exists(_manifest(seq)):
        with suppress(Damaged):
            there = read_snapshot(store, seq)
            if there.hash == hash:
                return there
        store.delete([_manifest(seq)])  # of another history: nobody may mix its tables with ours
    snapshot = Snapshot(store, seq, hash, epoch, time, {name: _describe(path) for name, path in tables.items()})
    for name, path in tables.items():
        store.put_file(snapshot.key(name), path)
    manifest = Manifest(FORMAT, seq, hash, epoch, time, dict(snapshot.tables))
    store.put(_manifest(seq), msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return snapshot


def list_snapshots(store: Store) -> list[int]:
    """The entries at which there is a complete snapshot, ascending."""
    found = (_MANIFEST.match(item.key) for item in store.list(SNAPSHOTS))
    return sorted(int(name[1]) for name in found if name)


def latest_snapshot(store: Store) -> Snapshot | None:
    complete = list_snapshots(store)
    return read_snapshot(store, complete[-1]) if complete else None


def read_snapshot(store: Store, seq: int) -> Snapshot:
    key = _manifest(seq)
    text = store.get(key)
    try:
        newest = msgspec.json.decode(text, type=_Version)
        if newest.format > FORMAT:
            raise WorkspaceTooNew(
                f"{key} has format {newest.format}; this program knows {FORMAT}",
                hint="A later version of raykqi wrote to this workspace: upgrade raykqi and try again.",
            )
        if newest.format < FORMAT:
            raise _damaged(key, f"it has format {newest.format}, which is read no more; the journal holds it all")
        found = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, ValueError, RecursionError) as e:
        raise _damaged(key, f"its text is malformed: {e}") from e
    if found.seq != seq:
        raise _damaged(key, f"it says that it is of entry {found.seq}")
    return Snapshot(store, seq, found.hash, found.epoch, found.time, found.tables)


def remove_older(store: Store, keep: int = 2) -> list[int]:
    """Delete all but the newest `keep` snapshots, and unfinished ones before those; says which."""
    kept = list_snapshots(store)[-keep:]
    if not kept:
        return []
    folders: dict[int, list[str]] = {}
    for item in store.list(SNAPSHOTS):
        if (name := _ANY.match(item.key)) and int(name[1]) < kept[0]:
            folders.setdefault(int(name[1]), []).append(item.key)
    for seq, keys in folders.items():
        store.delete([_manifest(seq)])
        store.delete(keys)
    return sorted(folders)


class _Version(msgspec.Struct):
    format: int


def _folder(seq: int) -> str:
    return f"{SNAPSHOTS}/{seq:020d}"


def _manifest(seq: int) -> str:
    return f"{_folder(seq)}/manifest.json"


def _describe(path: Path) -> Table:
    from pyarrow.parquet import read_metadata  # heavy, and only needed here

    digest = blake3()
    digest.update_mmap(path)
    return Table(read_metadata(path).num_rows, path.stat().st_size, digest.hexdigest())


def _damaged(key: str, what: str) -> Damaged:
    return Damaged(
        f"{key} is damaged: {what}",
        hint="Nothing is lost: delete this snapshot and rebuild the index from the journal.",
    )
