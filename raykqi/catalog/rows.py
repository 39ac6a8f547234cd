"""New rows for the tables, gathered in Python and handed to DuckDB as Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from raykqi.domain.tags import Tag

__all__ = ["TEXT", "TIME", "WHOLE", "YES", "FirstTags", "Rows", "schema"]


class Rows:
    """New rows for one table."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows: list[tuple[object, ...]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def tuples(self) -> Sequence[Sequence[object]]:
        return self.rows

    def arrow(self) -> pa.Table:
        columns = zip(*self.rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.schema)


class FirstTags:
    """The tags that data were born with. Most rows of an index are these, so many are never taken one by one."""

    schema = pa.schema([("data", pa.int64()), ("key", pa.string()), ("value", pa.string())])

    def __init__(self) -> None:
        self._data: list[int] = []
        self._tags: list[tuple[Tag, ...]] = []
        self._lost: dict[int, set[Tag]] = {}

    def add(self, data: int, tags: tuple[Tag, ...]) -> None:
        if tags:
            self._data.append(data)
            self._tags.append(tags)

    def lose(self, data: int, tag: Tag) -> bool:
        """Take one off again; False when it was taken off before."""
        lost = self._lost.setdefault(data, set())
        if tag in lost:
            return False
        lost.add(tag)
        return True

    def __len__(self) -> int:
        return sum(map(len, self._tags)) - sum(map(len, self._lost.values()))

    def tuples(self) -> Sequence[Sequence[object]]:
        self._settle()
        return [(data, *tag) for data, tags in zip(self._data, self._tags, strict=True) for tag in tags]

    def arrow(self) -> pa.Table:
        self._settle()
        data = np.repeat(np.array(self._data, dtype=np.int64), [len(tags) for tags in self._tags])
        keys, values = zip(*chain.from_iterable(self._tags), strict=True)
        return pa.table({"data": data, "key": pa.array(keys, TEXT), "value": pa.array(values, TEXT)})

    def _settle(self) -> None:
        """Leave out those that were lost again."""
        if lost := self._lost:
            kept = [
                tuple(tag for tag in tags if tag not in lost[data]) if data in lost else tags
                for data, tags in zip(self._data, self._tags, strict=True)
            ]
            self._tags, self._lost = kept, {}


def schema(**fields: pa.DataType) -> pa.Schema:
    return pa.schema(list(fields.items()))


TEXT, WHOLE, TIME, YES = pa.string(), pa.int64(), pa.timestamp("us"), pa.bool_()
