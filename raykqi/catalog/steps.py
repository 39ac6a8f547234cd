"""Changes of few rows that must be made one after the other, such as those of users and tokens.

Neighbours of one kind about different things are made by one statement; the order of the journal stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import duckdb
import pyarrow as pa

from raykqi.catalog.handing import run_statements
from raykqi.catalog.rows import Rows

__all__ = ["Step", "Steps"]


class Step(NamedTuple):
    """What is done with rows of this shape; the statements know them as `step`."""

    schema: pa.Schema
    statements: tuple[str, ...]


class Steps:
    def __init__(self, kinds: Mapping[str, Step]) -> None:
        self._kinds = kinds
        self._batches: list[tuple[str, Rows]] = []
        self._keys: set[object] = set()  # of the last batch

    def add(self, kind: str, *row: object) -> None:
        """A change of what the first column names."""
        if not self._batches or self._batches[-1][0] != kind or row[0] in self._keys:
            self._batches.append((kind, Rows(self._kinds[kind].schema)))
            self._keys.clear()
        self._batches[-1][1].rows.append(row)
        self._keys.add(row[0])

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        for kind, rows in self._batches:
            run_statements(connection, {"step": rows}, self._kinds[kind].statements)
