"""Changes of rows that are there: the last word of a round for each column, written column set by column set."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from raykqi.catalog.handing import run_statements
from raykqi.catalog.rows import Rows

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
            changed = Rows(pa.schema([("changed_id", pa.string()), *((name, self._columns[name]) for name in columns)]))
            changed.rows += [(id_, *(self._rows[id_][name] for name in columns)) for id_ in ids]
            assignments = ", ".join(f"{column} = c.{column}" for column in columns)
            statement = f"UPDATE {self._table} SET {assignments} FROM change c WHERE {self._key}"
            run_statements(connection, {"change": changed}, [statement])
