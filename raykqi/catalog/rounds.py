"""A round of the fold: what some events come to, netted, and how it is written set by set.

What comes and goes within a round is netted here, so that each of its sets can be written by one
statement, in a fixed order, however often a tag or a run changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import duckdb
import pyarrow as pa

from raykqi.catalog.access_steps import ACCESS_STEPS
from raykqi.catalog.changes import Changes
from raykqi.catalog.deeds import Deeds
from raykqi.catalog.endpoint_steps import EndpointRows
from raykqi.catalog.handing import Handed, run_statements
from raykqi.catalog.matched import match_data, match_ports
from raykqi.catalog.memory import Memory
from raykqi.catalog.ports import Candidate, Port
from raykqi.catalog.rows import TEXT, TIME, WHOLE, YES, FirstTags, Rows, schema
from raykqi.catalog.steps import Steps
from raykqi.domain.tags import Tag
from raykqi.errors import Damaged

__all__ = ["Born", "Round"]

_RUN = schema(
    number=WHOLE, id=TEXT, project=TEXT, plan=TEXT, status=TEXT, moment=TIME, ended=TIME, author=TEXT, cause=TEXT,
)  # fmt: skip
_INPUT = schema(data=WHOLE, run=WHOLE, name=TEXT)
_BORN = schema(
    number=WHOLE, id=TEXT, project=TEXT, run=WHOLE, output=TEXT, status=TEXT, moment=TIME, ended=TIME, author=TEXT,
    tree=TEXT, size=WHOLE, files=WHOLE,
)  # fmt: skip
_TAG = schema(data=WHOLE, key=TEXT, value=TEXT, moment=TIME, author=TEXT)
_PAST = schema(data=WHOLE, key=TEXT, value=TEXT, added_at=TIME, added_by=TEXT, removed_at=TIME, removed_by=TEXT)
_TOMBSTONE = schema(data=WHOLE, kind=TEXT, moment=TIME, author=TEXT, reason=TEXT)
_CONDEMNED = schema(object=TEXT, generation=WHOLE)
_PLAN = schema(
    number=WHOLE, id=TEXT, project=TEXT, name=TEXT, image=TEXT, digest=TEXT, active=YES, inputs=WHOLE, is_plain=YES,
    priority=WHOLE, running_limit=WHOLE, pending_limit=WHOLE, backlog=YES, held=TEXT, definition=TEXT, settings=TEXT,
    created=TIME, creator=TEXT,
)  # fmt: skip
_PORT = schema(
    number=WHOLE, plan=WHOLE, project=TEXT, kind=TEXT, name=TEXT, path=TEXT, take=TEXT, data_id=TEXT, moment=TIME,
    needs=WHOLE,
)  # fmt: skip
_PORT_TAG = schema(port=WHOLE, key=TEXT, value=TEXT)

_RUN_COLUMNS = {
    "status": TEXT, "updated": TIME, "attempt": WHOLE, "tries": WHOLE, "stopping": TEXT, "started": TIME,
    "ended": TIME, "exit_code": WHOLE, "exit_message": TEXT, "reason": TEXT, "executor": TEXT, "node": TEXT,
    "after": TIME, "usage": TEXT, "reused_from": TEXT,
}  # fmt: skip
_DATA_COLUMNS = {"status": TEXT, "timestamp": TIME, "tree": TEXT, "size": WHOLE, "files": WHOLE}
_PLAN_COLUMNS = {
    "active": YES, "running_limit": WHOLE, "pending_limit": WHOLE, "backlog": YES, "held": TEXT, "settings": TEXT,
}  # fmt: skip

_INSERT_RUNS = """
    INSERT INTO run
    SELECT number, id::UUID, project, plan, status, moment, moment, author, 0, 0, '', NULL, ended,
           CASE WHEN ended IS NULL THEN NULL ELSE 0 END, '', '', '', '', NULL, cause, NULL, ''
    FROM new_run
"""
_INSERT_INPUTS = "INSERT INTO run_input SELECT run, name, data FROM new_input"
_INSERT_DATA = """
    INSERT INTO data
    SELECT number, id::UUID, project, run, output, status, moment, ended, author, tree, size, files FROM new_data
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
_INSERT_TOMBSTONES = "INSERT INTO tombstone SELECT data, kind, moment, author, reason FROM new_tombstone"
_INSERT_CONDEMNED = "INSERT INTO condemned SELECT object, generation FROM new_condemned"
_INSERT_PLANS = "INSERT INTO plan SELECT * FROM new_plan"
_INSERT_PORTS = "INSERT INTO plan_port SELECT * FROM new_port"
_INSERT_PORT_TAGS = "INSERT INTO plan_tag SELECT * FROM new_port_tag"

FEW = 2_000
_NUMBERS_OF_FEW = "SELECT id::VARCHAR, number FROM data WHERE id IN (SELECT unnest(?::UUID[]))"
_NUMBERS_OF_MANY = "SELECT a.id, d.number FROM asked a JOIN data d ON d.id = a.id::UUID"


class Born(NamedTuple):
    """A data of this round: its number and first tags, when and by whom."""

    number: int
    tags: tuple[Tag, ...]
    at: datetime
    by: str


class Round:
    """What the events of one round come to, and how it is written."""

    def __init__(self) -> None:
        self.events = 0
        self.runs, self.data, self.inputs = Rows(_RUN), Rows(_BORN), Rows(_INPUT)
        self.first_tags, self.lost, self.past = FirstTags(), Rows(_TAG), Rows(_PAST)
        self.tombstones, self.condemned = Rows(_TOMBSTONE), Rows(_CONDEMNED)
        self.collected: list[int] = []
        self.born: dict[str, Born] = {}
        self.found: dict[tuple[str, Tag], tuple[datetime, str]] = {}
        self.plans, self.ports, self.port_tags = Rows(_PLAN), Rows(_PORT), Rows(_PORT_TAG)
        self.run_changes = Changes("run", "run.id = c.changed_id::UUID", _RUN_COLUMNS)
        self.data_changes = Changes("data", "data.id = c.changed_id::UUID", _DATA_COLUMNS)
        self.plan_changes = Changes("plan", "plan.id = c.changed_id", _PLAN_COLUMNS)
        self.tags_of: set[str] = set()  # the data whose tags have changed
        self.fresh: dict[str, Candidate] = {}  # data that became done
        self.became_done: set[str] = set()  # data that was being made
        self.new_ports: list[Port] = []
        self.run_numbers: dict[str, int] = {}  # of the runs of this round
        self.later_data: list[tuple[str, tuple[object, ...]]] = []  # for runs of other rounds: a row without the run
        self.access, self.deeds, self.endpoints = Steps(ACCESS_STEPS), Deeds(), EndpointRows()
        self._found = Rows(_TAG)  # of `found`, once it is complete

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

    def write(self, connection: duckdb.DuckDBPyConnection, memory: Memory, *, derived: bool) -> None:
        """What a statement needs of earlier ones stands above it.

        Without `derived` the postings and matches are left to be made anew afterwards.
        """
        self._found.rows += [(data, *tag, *added) for (data, tag), added in self.found.items()]
        runs = self._run_numbers(connection)
        self.data.rows += [(*row[:3], runs[run], *row[3:]) for run, row in self.later_data]
        for rows in (self.inputs, self.lost, self.past, self._found, self.tombstones):
            self._number(rows, connection, memory)
        written = [(name, rows, statements) for name, rows, statements in self._writes() if rows]
        given: dict[str, Handed] = {name: rows for name, rows, _ in written}
        statements = [each for _, _, its in written for each in its if derived or "posting" not in each]
        run_statements(connection, given, statements)
        for changes in (self.run_changes, self.data_changes, self.plan_changes, *self.endpoints.changes()):
            changes.write(connection)
        self.access.write(connection)
        for generation in self.collected:
            connection.execute("DELETE FROM condemned WHERE generation = ?", [generation])
        if derived and memory.has_plans:
            self._match(connection, memory)

    def _run_numbers(self, connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
        asked = {run for run, _ in self.later_data} - self.run_numbers.keys()
        if not asked:
            return self.run_numbers
        sql = "SELECT id::VARCHAR, number FROM run WHERE id IN (SELECT unnest(?::UUID[]))"
        return self.run_numbers | dict(connection.execute(sql, [list(asked)]).fetchall())

    def _match(self, connection: duckdb.DuckDBPyConnection, memory: Memory) -> None:
        """Data that has become done in this round was never there to be taken; other data is looked at anew."""
        memory.ports.add(self.new_ports)
        born = [data for data in self.fresh.values() if data.id not in self.tags_of]
        named = (self.tags_of | self.data_changes.ids()) - {data.id for data in born}
        numbers = _ask(named, connection, memory.numbers)
        ended = {numbers[id_] for id_ in self.became_done}
        memory.matches += match_data(connection, memory.ports, born, set(numbers.values()), ended)
        if self.new_ports:
            match_ports(connection, [port.number for port in self.new_ports])

    def _writes(self) -> Iterable[tuple[str, Rows | FirstTags, tuple[str, ...]]]:
        yield "new_run", self.runs, (_INSERT_RUNS,)
        yield "new_data", self.data, (_INSERT_DATA,)
        yield "first_tag", self.first_tags, (_INSERT_FIRST_TAGS, _INSERT_FIRST_POSTINGS)
        yield "new_input", self.inputs, (_INSERT_INPUTS,)
        yield "lost_tag", self.lost, (_KEEP_PAST, _DELETE_TAGS, _DELETE_POSTINGS)
        yield "past_tag", self.past, (_INSERT_PAST,)
        yield "found_tag", self._found, (_ADD_TAGS, _ADD_POSTINGS)
        yield "new_tombstone", self.tombstones, (_INSERT_TOMBSTONES,)
        yield "new_condemned", self.condemned, (_INSERT_CONDEMNED,)
        yield "new_plan", self.plans, (_INSERT_PLANS,)
        yield "new_port", self.ports, (_INSERT_PORTS,)
        yield "new_port_tag", self.port_tags, (_INSERT_PORT_TAGS,)
        yield from self.endpoints.writes()
        yield from self.deeds.writes()

    def _number(self, rows: Rows, connection: duckdb.DuckDBPyConnection, memory: Memory) -> None:
        """The ids in the first column into numbers, those of this round without asking the index."""
        if not rows:
            return
        born = self.born
        numbers = _ask({str(row[0]) for row in rows.rows if row[0] not in born}, connection, memory.numbers)
        numbers.update((id_, data.number) for id_, data in born.items())
        try:
            rows.rows = [(numbers[str(id_)], *rest) for id_, *rest in rows.rows]
        except KeyError as error:
            raise Damaged(
                f"the journal speaks of data {error}, which nothing in it has made", hint="Run `raykqi fsck`."
            ) from error


def _ask(ids: set[str], connection: duckdb.DuckDBPyConnection, known: dict[str, int]) -> dict[str, int]:
    numbers = {id_: known[id_] for id_ in ids if id_ in known}
    ids = ids - numbers.keys()
    if not ids:
        return numbers
    if len(ids) <= FEW:
        return numbers | dict(connection.execute(_NUMBERS_OF_FEW, [list(ids)]).fetchall())
    connection.register("asked", pa.table({"id": list(ids)}))
    numbers |= dict(connection.execute(_NUMBERS_OF_MANY).fetchall())
    connection.unregister("asked")
    return numbers
