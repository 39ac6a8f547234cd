"""The fold: events into rows, set by set. Pure: the same events give the same rows, however they are batched.

Events are gathered into rounds. Within a round no tag of a data is touched twice and no data changes
its status twice, so the sets of a round can be written in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import singledispatchmethod

import duckdb
import msgspec
import pyarrow as pa

from raykqi.catalog.index import Position
from raykqi.domain.events import (
    DataPurged,
    DataRemoved,
    Event,
    ObjectsCollected,
    ObjectsCondemned,
    RunRecorded,
    TagsChanged,
)
from raykqi.domain.tags import Tag

__all__ = ["apply_events", "sort_postings"]

ROUND_EVENTS = 20_000


def apply_events(
    connection: duckdb.DuckDBPyConnection, position: Position, events: Iterable[Event], *, postings: bool = True
) -> Position:
    """Write what the events say into the open transaction; the position with its numbers moved on.

    Without `postings` the caller sorts them anew afterwards, which is quicker for many events.
    """
    fold = _Fold(connection, position, postings)
    for event in events:
        fold.take(event)
    fold.flush()
    return msgspec.structs.replace(position, runs=fold.runs, data=fold.data, generation=fold.generation)


def sort_postings(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the postings anew, each tag's in one stretch, so that `find` reads a few row groups."""
    connection.execute("DELETE FROM posting")
    connection.execute("INSERT INTO posting SELECT hash(key, value) AS hash, data FROM tag ORDER BY hash, data")


class _Rows:
    """One table's worth of new rows, column by column."""

    def __init__(self, **fields: pa.DataType) -> None:
        self.schema = pa.schema(list(fields.items()))
        self.columns: tuple[list[object], ...] = tuple([] for _ in fields)

    def add(self, *values: object) -> None:
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)

    def __len__(self) -> int:
        return len(self.columns[0])

    def arrow(self) -> pa.Table:
        arrays = [pa.array(column, field.type) for column, field in zip(self.columns, self.schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.schema)


_TEXT, _WHOLE, _TIME = pa.string(), pa.int64(), pa.timestamp("us")

_INSERT_RUNS = "INSERT INTO run SELECT number, id::UUID, project, plan, 'done', moment, moment, author FROM new_run"
_INSERT_INPUTS = "INSERT INTO run_input SELECT run, name, data FROM new_input"
_INSERT_DATA = """
    INSERT INTO data
    SELECT number, id::UUID, project, run, output, 'done', moment, moment, author, tree, size, files FROM new_data
"""
_INSERT_FIRST_TAGS = """
    INSERT INTO tag
    SELECT t.data, t.key, t.value, d.moment, d.author FROM first_tag t JOIN new_data d ON d.number = t.data
"""
_INSERT_FIRST_POSTINGS = "INSERT INTO posting SELECT hash(key, value), data FROM first_tag"
_KEEP_PAST = """
    INSERT INTO tag_past
    SELECT t.data, t.key, t.value, t.added_at, t.added_by, g.moment, g.author
    FROM tag t JOIN lost_tag g ON t.data = g.data AND t.key = g.key AND t.value = g.value
"""
_DELETE_TAGS = "DELETE FROM tag t USING lost_tag g WHERE t.data = g.data AND t.key = g.key AND t.value = g.value"
_DELETE_POSTINGS = "DELETE FROM posting p USING lost_tag g WHERE p.data = g.data AND p.hash = hash(g.key, g.value)"
_ADD_TAGS = "INSERT INTO tag SELECT data, key, value, moment, author FROM found_tag"
_ADD_POSTINGS = "INSERT INTO posting SELECT hash(key, value), data FROM found_tag"
_BURY = "UPDATE data SET status = s.kind FROM new_tombstone s WHERE data.number = s.data"
_INSERT_TOMBSTONES = "INSERT INTO tombstone SELECT data, kind, moment, author, reason FROM new_tombstone"
_INSERT_CONDEMNED = "INSERT INTO condemned SELECT object, generation FROM new_condemned"

FEW = 2_000
_NUMBERS_OF_FEW = "SELECT id::VARCHAR, number FROM data WHERE id IN (SELECT unnest(?::UUID[]))"
_NUMBERS_OF_MANY = "SELECT a.id, d.number FROM asked a JOIN data d ON d.id = a.id::UUID"


class _Fold:
    def __init__(self, connection: duckdb.DuckDBPyConnection, position: Position, postings: bool) -> None:
        self.runs, self.data, self.generation = position.runs, position.data, position.generation
        self._connection = connection
        self._postings = postings
        self._start_round()

    def take(self, event: Event) -> None:
        if self._events >= ROUND_EVENTS:
            self.flush()
        self._events += 1
        self._fold(event)

    def flush(self) -> None:
        """Write the round. What a statement needs of earlier ones stands above it."""
        if self._events == 0:
            return
        self._number(self._inputs, 2)
        for rows in (self._lost, self._found, self._tombstones):
            self._number(rows, 0)
        written = [(name, rows, statements) for name, rows, statements in self._writes() if len(rows)]
        for name, rows, _ in written:
            self._connection.register(name, rows.arrow())
        for _, _, statements in written:
            for statement in statements:
                if self._postings or "posting" not in statement:
                    self._connection.execute(statement)
        for name, _, _ in written:
            self._connection.unregister(name)
        self._start_round()

    def _writes(self) -> Iterable[tuple[str, _Rows, tuple[str, ...]]]:
        yield "new_run", self._runs, (_INSERT_RUNS,)
        yield "new_data", self._born_data, (_INSERT_DATA,)
        yield "first_tag", self._first_tags, (_INSERT_FIRST_TAGS, _INSERT_FIRST_POSTINGS)
        yield "new_input", self._inputs, (_INSERT_INPUTS,)
        yield "lost_tag", self._lost, (_KEEP_PAST, _DELETE_TAGS, _DELETE_POSTINGS)
        yield "found_tag", self._found, (_ADD_TAGS, _ADD_POSTINGS)
        yield "new_tombstone", self._tombstones, (_BURY, _INSERT_TOMBSTONES)
        yield "new_condemned", self._condemned, (_INSERT_CONDEMNED,)

    @singledispatchmethod
    def _fold(self, event: object) -> None:
        raise TypeError(f"no fold for {type(event).__name__}")

    @_fold.register
    def _(self, event: RunRecorded) -> None:
        self.runs += 1
        moment = _naive(event.at)
        self._runs.add(self.runs, event.run, event.project, event.plan, moment, event.by)
        for given in event.inputs:
            self._inputs.add(self.runs, given.name, given.data)
        tag_data, keys, values = self._first_tags.columns
        for output in event.outputs:
            self.data += 1
            tree = output.tree
            self._born_data.add(
                self.data, output.data, event.project, self.runs, output.name, moment, event.by,
                tree.hash, tree.size, tree.files,
            )  # fmt: skip
            tag_data += [self.data] * len(output.tags)
            keys += [tag.key for tag in output.tags]
            values += [tag.value for tag in output.tags]
            self._born[output.data] = (self.data, output.tags)

    @_fold.register
    def _(self, event: TagsChanged) -> None:
        touched = {(event.data, tag) for tag in (*event.removed, *event.added)}
        _, first_tags = self._born.get(event.data, (0, ()))
        if not touched.isdisjoint(self._touched) or any((event.data, tag) in touched for tag in first_tags):
            self._new_round()
        self._touched |= touched
        moment = _naive(event.at)
        for tag in event.removed:
            self._lost.add(event.data, tag.key, tag.value, moment, event.by)
        for tag in event.added:
            self._found.add(event.data, tag.key, tag.value, moment, event.by)

    @_fold.register
    def _(self, event: DataPurged) -> None:
        self._bury(event, "purged")

    @_fold.register
    def _(self, event: DataRemoved) -> None:
        self._bury(event, "removed")

    @_fold.register
    def _(self, event: ObjectsCondemned) -> None:
        for key in event.objects:
            self._condemned.add(key, event.generation)
        self.generation = event.generation

    @_fold.register
    def _(self, event: ObjectsCollected) -> None:
        self._new_round()
        self._connection.execute("DELETE FROM condemned WHERE generation = ?", [event.generation])

    def _bury(self, event: DataPurged | DataRemoved, kind: str) -> None:
        if event.data in self._buried:
            self._new_round()
        self._buried.add(event.data)
        self._tombstones.add(event.data, kind, _naive(event.at), event.by, event.reason)

    def _new_round(self) -> None:
        self.flush()
        self._events = 1

    def _start_round(self) -> None:
        self._events = 0
        self._runs = _Rows(number=_WHOLE, id=_TEXT, project=_TEXT, plan=_TEXT, moment=_TIME, author=_TEXT)
        self._inputs = _Rows(run=_WHOLE, name=_TEXT, data=_WHOLE)
        self._born_data = _Rows(
            number=_WHOLE, id=_TEXT, project=_TEXT, run=_WHOLE, output=_TEXT, moment=_TIME, author=_TEXT,
            tree=_TEXT, size=_WHOLE, files=_WHOLE,
        )  # fmt: skip
        self._first_tags = _Rows(data=_WHOLE, key=_TEXT, value=_TEXT)
        self._lost = _Rows(data=_WHOLE, key=_TEXT, value=_TEXT, moment=_TIME, author=_TEXT)
        self._found = _Rows(data=_WHOLE, key=_TEXT, value=_TEXT, moment=_TIME, author=_TEXT)
        self._tombstones = _Rows(data=_WHOLE, kind=_TEXT, moment=_TIME, author=_TEXT, reason=_TEXT)
        self._condemned = _Rows(object=_TEXT, generation=_WHOLE)
        self._born: dict[str, tuple[int, tuple[Tag, ...]]] = {}
        self._touched: set[tuple[str, Tag]] = set()
        self._buried: set[str] = set()

    def _number(self, rows: _Rows, column: int) -> None:
        """Ids into numbers, those of this round without asking the index."""
        ids = rows.columns[column]
        if not ids:
            return
        born = self._born
        numbers = self._ask({str(asked) for asked in ids if asked not in born})
        ids[:] = [born[asked][0] if asked in born else numbers[asked] for asked in map(str, ids)]

    def _ask(self, ids: set[str]) -> dict[str, int]:
        if not ids:
            return {}
        if len(ids) <= FEW:
            return dict(self._connection.execute(_NUMBERS_OF_FEW, [list(ids)]).fetchall())
        self._connection.register("asked", pa.table({"id": list(ids)}))
        numbers: dict[str, int] = dict(self._connection.execute(_NUMBERS_OF_MANY).fetchall())
        self._connection.unregister("asked")
        return numbers


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
