"""The index as Parquet files that plain DuckDB can query, and back again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import msgspec

from raykqi.catalog.index import Index, Position, guarded
from raykqi.journal.snapshot import Snapshot, remove_older, write_snapshot
from raykqi.storage.filesystem import Store

__all__ = ["load_snapshot", "save_snapshot"]

KEPT_SNAPSHOTS = 2
_VIEWS = Path(__file__).with_name("views.sql")
# In this order each file compresses well and is pruned well by readers.
_ORDER = {
    "meta": "key",
    "run": "number",
    "run_input": "run, name, data",
    "data": "number",
    "tag": "data, key, value",
    "tag_past": "data, key, value, added_at",
    "tombstone": "data, ended_at, kind",
    "condemned": "object",
    "plan": "number",
    "plan_port": "number",
    "plan_tag": "port, key, value",
    "project": "name",
    "member": "project, account",
    "user_account": "name",
    "token": "id",
    "deed": "number",
    "answered": "moment, author, key",
    "endpoint": "id",
    "revision": "endpoint, number",
    "revision_move": "number",
    "job": "id",
}


def save_snapshot(store: Store, index: Index) -> Snapshot:
    """Write the index as it stands; the two newest snapshots are kept."""
    with tempfile.TemporaryDirectory(prefix="raykqi-snapshot-") as folder, index.transaction() as connection:
        position = _position(connection)
        tables = {name: Path(folder) / f"{name}.parquet" for name in _ORDER}
        for name, path in tables.items():
            connection.sql(f"SELECT * FROM {name} ORDER BY {_ORDER[name]}").write_parquet(str(path), compression="zstd")
        snapshot = write_snapshot(
            store, seq=position.seq, hash=position.hash, epoch=position.epoch, time=position.time, tables=tables
        )
    store.put(f"{snapshot.key('data').rpartition('/')[0]}/views.sql", _VIEWS.read_bytes())
    remove_older(store, keep=KEPT_SNAPSHOTS)
    return snapshot


def load_snapshot(snapshot: Snapshot, connection: duckdb.DuckDBPyConnection) -> Position:
    """Fill the empty tables from a snapshot."""
    with tempfile.TemporaryDirectory(prefix="raykqi-snapshot-") as folder, guarded():
        for name in _ORDER:
            path = Path(folder) / f"{name}.parquet"
            snapshot.fetch(name, path)
            if name == "meta":
                connection.execute("DELETE FROM meta WHERE key = 'position'")
                connection.execute("INSERT INTO meta SELECT * FROM read_parquet(?) WHERE key = 'position'", [str(path)])
            else:
                connection.execute(f"INSERT INTO {name} SELECT * FROM read_parquet(?)", [str(path)])
    return _position(connection)


def _position(connection: duckdb.DuckDBPyConnection) -> Position:
    rows = connection.execute("SELECT value FROM meta WHERE key = 'position'").fetchall()
    return msgspec.json.decode(rows[0][0], type=Position) if rows else Position()
