"""Changes of rows that are there: the last word of a round for each column, written column set by column set."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

__all__ = ["Changes"]


class Changes:
    """Of one table, by its `id`. Columns are names in our source, never text of users."""

    def __init__(self, table: str, key: str, columns: Mapping[str, pa.DataType]) -> None:
        self._table = table
        self._key = key
        self._columns = columns
        self._rows: dict[str, dict[str, object]] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def note(self, id_: str, **values: object) -> None:
        self._rows.setdefault(id_, {}).update(values)

    def ids(self) -> set[str]:
        return set(self._rows)

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        alike: dict[tuple[str, ...], list[str]] = {}
        for id_, values in self._rows.items():
            alike.setdefault(tuple(sorted(values)), []).append(id_)
        for columns, ids in alike.items():
            arrays: dict[str, pa.Array] = {"changed_id": pa.array(ids, pa.string())}
            for column in columns:
                arrays[column] = pa.array([self._rows[id_][column] for id_ in ids], self._columns[column])
            connection.register("change", pa.table(arrays))
            assignments = ", ".join(f"{column} = c.{column}" for column in columns)
            connection.execute(f"UPDATE {self._table} SET {assignments} FROM change c WHERE {self._key}")
            connection.unregister("change")
