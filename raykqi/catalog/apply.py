"""The fold: events into rows, set by set. Pure: the same events give the same rows, however they are batched.

Events are gathered into rounds. What comes and goes within a round is netted here, so that each of its
sets can be written by one statement, in a fixed order, however often a tag changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import singledispatch
from itertools import chain
from typing import NamedTuple

import duckdb
import msgspec
import numpy as np
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
from raykqi.errors import Damaged

__all__ = ["apply_events", "sort_postings"]

ROUND_EVENTS = 20_000


def apply_events(
    connection: duckdb.DuckDBPyConnection, position: Position, events: Iterable[Event], *, postings: bool = True
) -> Position:
    """Write what the events say into the open transaction; the position with its numbers moved on.

    Without `postings` the caller sorts them anew afterwards, which is quicker for many events.
    """
    fold = _Fold(connection, position, postings)
    try:
        for event in events:
            fold.take(event)
        fold.finish()
    finally:
        fold.close()
    return msgspec.structs.replace(
        position, runs=fold.runs, data=fold.data, generation=fold.generation, last_id=fold.last_id
    )


def sort_postings(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the postings anew, each tag's in one stretch, so that `find` reads a few row groups."""
    connection.execute("DELETE FROM posting")
    connection.execute("INSERT INTO posting SELECT hash(key, value) AS hash, data FROM tag ORDER BY hash, data")
    connection.execute("UPDATE arrangement SET sorted = (SELECT count(*) FROM posting)")


class _Rows:
    """New rows for one table."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self.rows: list[tuple[object, ...]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def arrow(self) -> pa.Table:
        columns = zip(*self.rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self._schema)


class _FirstTags:
    """The tags that data were born with. Most rows of an index are these, so they are never taken one by one."""

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

    def arrow(self) -> pa.Table:
        if lost := self._lost:
            kept = [
                tuple(tag for tag in tags if tag not in lost[data]) if data in lost else tags
                for data, tags in zip(self._data, self._tags, strict=True)
            ]
            self._tags, self._lost = kept, {}
        data = np.repeat(np.array(self._data, dtype=np.int64), [len(tags) for tags in self._tags])
        keys, values = zip(*chain.from_iterable(self._tags), strict=True)
        return pa.table({"data": data, "key": pa.array(keys, _TEXT), "value": pa.array(values, _TEXT)})


def _schema(**fields: pa.DataType) -> pa.Schema:
    return pa.schema(list(fields.items()))


_TEXT, _WHOLE, _TIME = pa.string(), pa.int64(), pa.timestamp("us")
_RUN = _schema(number=_WHOLE, id=_TEXT, project=_TEXT, plan=_TEXT, moment=_TIME, author=_TEXT)
_INPUT = _schema(data=_WHOLE, run=_WHOLE, name=_TEXT)
_BORN = _schema(
    number=_WHOLE, id=_TEXT, project=_TEXT, run=_WHOLE, output=_TEXT, moment=_TIME, author=_TEXT,
    tree=_TEXT, size=_WHOLE, files=_WHOLE,
)  # fmt: skip
_TAG = _schema(data=_WHOLE, key=_TEXT, value=_TEXT, moment=_TIME, author=_TEXT)
_PAST = _schema(data=_WHOLE, key=_TEXT, value=_TEXT, added_at=_TIME, added_by=_TEXT, removed_at=_TIME, removed_by=_TEXT)
_STATUS = _schema(data=_WHOLE, kind=_TEXT)
_TOMBSTONE = _schema(data=_WHOLE, kind=_TEXT, moment=_TIME, author=_TEXT, reason=_TEXT)
_CONDEMNED = _schema(object=_TEXT, generation=_WHOLE)

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
_INSERT_PAST = "INSERT INTO tag_past SELECT * FROM past_tag"
_BURY = "UPDATE data SET status = s.kind FROM new_status s WHERE data.number = s.data"
_INSERT_TOMBSTONES = "INSERT INTO tombstone SELECT data, kind, moment, author, reason FROM new_tombstone"
_INSERT_CONDEMNED = "INSERT INTO condemned SELECT object, generation FROM new_condemned"

FEW = 2_000
_NUMBERS_OF_FEW = "SELECT id::VARCHAR, number FROM data WHERE id IN (SELECT unnest(?::UUID[]))"
_NUMBERS_OF_MANY = "SELECT a.id, d.number FROM asked a JOIN data d ON d.id = a.id::UUID"


class _Born(NamedTuple):
    """A data of this round: its number and first tags, when and by whom."""

    number: int
    tags: tuple[Tag, ...]
    at: datetime
    by: str


class _Round:
    """What the events of one round come to, and how it is written."""

    def __init__(self) -> None:
        self.events = 0
        self.runs, self.data, self.inputs = _Rows(_RUN), _Rows(_BORN), _Rows(_INPUT)
        self.first_tags, self.lost, self.past = _FirstTags(), _Rows(_TAG), _Rows(_PAST)
        self.tombstones, self.condemned = _Rows(_TOMBSTONE), _Rows(_CONDEMNED)
        self.collected: list[int] = []
        self.born: dict[str, _Born] = {}
        self.found: dict[tuple[str, Tag], tuple[datetime, str]] = {}
        self.buried: dict[str, str] = {}
        self._found, self._statuses = _Rows(_TAG), _Rows(_STATUS)  # of `found` and `buried`, once they are complete

    def take_off(self, data: str, tag: Tag, at: datetime, by: str) -> None:
        """A tag that came in this round never reaches the table; others are taken out of it."""
        if added := self.found.pop((data, tag), None):
            self.past.rows.append((data, *tag, *added, at, by))
            return
        born = self.born.get(data)
        if born and tag in born.tags and self.first_tags.lose(born.number, tag):
            self.past.rows.append((data, *tag, born.at, born.by, at, by))
        else:
            self.lost.rows.append((data, *tag, at, by))

    def write(self, connection: duckdb.DuckDBPyConnection, *, postings: bool) -> None:
        """What a statement needs of earlier ones stands above it."""
        self._found.rows += [(data, *tag, *added) for (data, tag), added in self.found.items()]
        self._statuses.rows += self.buried.items()
        for rows in (self.inputs, self.lost, self.past, self._found, self._statuses, self.tombstones):
            self._number(rows, connection)
        written = [(name, rows.arrow(), statements) for name, rows, statements in self._writes() if rows]
        for name, table, _ in written:
            connection.register(name, table)
        for _, _, statements in written:
            for statement in statements:
                if postings or "posting" not in statement:
                    connection.execute(statement)
        for name, _, _ in written:
            connection.unregister(name)
        for generation in self.collected:
            connection.execute("DELETE FROM condemned WHERE generation = ?", [generation])

    def _writes(self) -> Iterable[tuple[str, _Rows | _FirstTags, tuple[str, ...]]]:
        yield "new_run", self.runs, (_INSERT_RUNS,)
        yield "new_data", self.data, (_INSERT_DATA,)
        yield "first_tag", self.first_tags, (_INSERT_FIRST_TAGS, _INSERT_FIRST_POSTINGS)
        yield "new_input", self.inputs, (_INSERT_INPUTS,)
        yield "lost_tag", self.lost, (_KEEP_PAST, _DELETE_TAGS, _DELETE_POSTINGS)
        yield "past_tag", self.past, (_INSERT_PAST,)
        yield "found_tag", self._found, (_ADD_TAGS, _ADD_POSTINGS)
        yield "new_status", self._statuses, (_BURY,)
        yield "new_tombstone", self.tombstones, (_INSERT_TOMBSTONES,)
        yield "new_condemned", self.condemned, (_INSERT_CONDEMNED,)

    def _number(self, rows: _Rows, connection: duckdb.DuckDBPyConnection) -> None:
        """The ids in the first column into numbers, those of this round without asking the index."""
        if not rows:
            return
        born = self.born
        numbers = _ask({str(row[0]) for row in rows.rows if row[0] not in born}, connection)
        numbers.update((id_, data.number) for id_, data in born.items())
        try:
            rows.rows = [(numbers[str(id_)], *rest) for id_, *rest in rows.rows]
        except KeyError as error:
            raise Damaged(
                f"the journal speaks of data {error}, which nothing in it has made", hint="Run `raykqi fsck`."
            ) from error


class _Fold:
    """Numbers what is new and deals the events into rounds.

    Rounds of a long journal are written by a second thread while the next one is gathered.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, position: Position, postings: bool) -> None:
        self.runs, self.data, self.generation = position.runs, position.data, position.generation
        self.last_id = position.last_id
        self.round = _Round()
        self._connection = connection
        self._postings = postings
        self._writer: ThreadPoolExecutor | None = None
        self._written: Future[None] | None = None

    def take(self, event: Event) -> None:
        if self.round.events >= ROUND_EVENTS:
            self._hand_over()
        self.round.events += 1
        _fold(event, self)

    def finish(self) -> None:
        self._wait()
        if self.round.events:
            self._write(self.round)

    def close(self) -> None:
        if self._writer:
            self._writer.shutdown()

    def _hand_over(self) -> None:
        self._writer = self._writer or ThreadPoolExecutor(1, thread_name_prefix="raykqi-fold")
        self._wait()
        self._written = self._writer.submit(self._write, self.round)
        self.round = _Round()

    def _wait(self) -> None:
        if self._written:
            self._written.result()

    def _write(self, full: _Round) -> None:
        full.write(self._connection, postings=self._postings)


def _ask(ids: set[str], connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    if not ids:
        return {}
    if len(ids) <= FEW:
        return dict(connection.execute(_NUMBERS_OF_FEW, [list(ids)]).fetchall())
    connection.register("asked", pa.table({"id": list(ids)}))
    numbers: dict[str, int] = dict(connection.execute(_NUMBERS_OF_MANY).fetchall())
    connection.unregister("asked")
    return numbers


@singledispatch
def _fold(event: object, fold: _Fold) -> None:
    raise TypeError(f"no fold for {type(event).__name__} into {type(fold).__name__}")


@_fold.register
def _(event: RunRecorded, fold: _Fold) -> None:
    into = fold.round
    fold.runs = run = fold.runs + 1
    into.runs.rows.append((run, event.run, event.project, event.plan, event.at, event.by))
    for given in event.inputs:
        into.inputs.rows.append((given.data, run, given.name))
    for output in event.outputs:
        fold.data = number = fold.data + 1
        tree = output.tree
        into.data.rows.append(
            (number, output.data, event.project, run, output.name, event.at, event.by, tree.hash, tree.size, tree.files)
        )
        into.first_tags.add(number, output.tags)
        into.born[output.data] = _Born(number, output.tags, event.at, event.by)
    fold.last_id = max(fold.last_id, event.run, *[output.data for output in event.outputs])


@_fold.register
def _(event: TagsChanged, fold: _Fold) -> None:
    into = fold.round
    for tag in event.removed:
        into.take_off(event.data, tag, event.at, event.by)
    into.found.update(((event.data, tag), (event.at, event.by)) for tag in event.added)


@_fold.register
def _(event: DataPurged, fold: _Fold) -> None:
    _bury(event, "purged", fold)


@_fold.register
def _(event: DataRemoved, fold: _Fold) -> None:
    _bury(event, "removed", fold)


@_fold.register
def _(event: ObjectsCondemned, fold: _Fold) -> None:
    fold.round.condemned.rows += [(key, event.generation) for key in event.objects]
    fold.generation = event.generation


@_fold.register
def _(event: ObjectsCollected, fold: _Fold) -> None:
    fold.round.collected.append(event.generation)
    fold.generation += 1


def _bury(event: DataPurged | DataRemoved, kind: str, fold: _Fold) -> None:
    fold.round.buried[event.data] = kind
    fold.round.tombstones.rows.append((event.data, kind, event.at, event.by, event.reason))
