"""Questions about data: by tags and other marks, by id, how often each tag is there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from raykqi.catalog.filtering import DATA_COLUMNS, conditions_of
from raykqi.catalog.index import Index, utc
from raykqi.domain.data import Data, DataQuery, Page, TagCount, Tombstone, TreeRef, Upstream
from raykqi.domain.filters import TagFilter
from raykqi.domain.ids import check_id_prefix, is_id, prefix_range
from raykqi.domain.tags import SYSTEM_ID, SYSTEM_TIMESTAMP, SYSTEM_TRANSIENT, Tag, parse_instant
from raykqi.errors import AmbiguousId, InvalidQuery, UnknownId

__all__ = ["count_data", "find_data", "get_data", "list_tags", "live_trees"]
__all__ += ["resolve_data", "resolve_node", "resolve_run", "tags_of"]

MAX_PAGE = 1_000
CANDIDATES = 10
LARGEST = (1 << 63) - 1
NO_ID = "00000000-0000-0000-0000-000000000000"
_DATA = """
    SELECT d.number, d.id::VARCHAR, d.project, d.status, d.created, d.timestamp, d.creator,
           d.tree, d.size, d.files, r.id::VARCHAR, r.plan, d.output
    FROM data d JOIN run r ON r.number = d.run
"""
_FROM = "data d JOIN run r ON r.number = d.run"
_TAGS = "SELECT data, key, value FROM tag WHERE data IN (SELECT unnest(?::BIGINT[])) ORDER BY data, key, value"
_TOMBSTONES = """
    SELECT data, kind, ended_at, ended_by, reason FROM tombstone
    WHERE data IN (SELECT unnest(?::BIGINT[])) ORDER BY data, ended_at, kind
"""
_HOLDS = "d.number IN (SELECT data FROM posting WHERE hash = hash(?, ?))"
_EARLIER = "d.id < ?::UUID"
_LATER = "d.id > ?::UUID"


class _Conditions:
    """SQL conditions and their parameters, in step."""

    def __init__(self) -> None:
        self.sql: list[str] = []
        self.parameters: list[object] = []

    def add(self, sql: str, *parameters: object) -> None:
        self.sql.append(sql)
        self.parameters += parameters

    @property
    def where(self) -> str:
        return " WHERE " + " AND ".join(self.sql) if self.sql else ""


def find_data(index: Index, query: DataQuery, *, limit: int = 50, cursor: str = "") -> Page:
    """A page of the data that meet every condition, newest first unless asked otherwise."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    if cursor and not is_id(cursor):
        raise InvalidQuery(f"{cursor!r} is no cursor", hint="Give the next_cursor of the page before, unchanged.")
    conditions = _conditions(query)
    if cursor:
        conditions.add(_LATER if query.oldest_first else _EARLIER, cursor)
    order = "ASC" if query.oldest_first else "DESC"
    # The page first, by number alone, so that nothing else is read for what is not on it.
    page = f"SELECT d.number FROM {_FROM}{conditions.where} ORDER BY d.number {order} LIMIT {limit + 1}"
    sql = f"{_DATA} WHERE d.number IN ({page}) ORDER BY d.number {order}"
    rows = index.rows(sql, conditions.parameters)
    items = _with_tags(index, rows[:limit])
    more = items[-1].id if len(rows) > limit else ""
    # Postings are hashes: what a collision let in goes out here.
    exact = [item for item in items if _holds(item, query)]
    return Page(tuple(exact), more)


def count_data(index: Index, query: DataQuery) -> int:
    conditions = _conditions(query)
    sql = f"SELECT count(*) FROM data d JOIN run r ON r.number = d.run{conditions.where}"
    return int(index.rows(sql, conditions.parameters)[0][0])


def get_data(index: Index, ids: Sequence[str], *, project: str = "") -> list[Data]:
    """These data, removed ones too, in the order asked for; with `project`, those of others are not there."""
    rows = index.rows(f"{_DATA} WHERE d.id IN (SELECT unnest(?::UUID[]))", [list(ids)])
    found = {data.id: data for data in _with_tags(index, rows) if project in ("", data.project)}
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise UnknownId(f"there is no data {missing[0]}", hint="`raykqi data find` lists what there is.")
    return [found[id_] for id_ in ids]


def resolve_data(index: Index, prefix: str, *, project: str = "default", removed: bool = False) -> str:
    """The whole id of the one data whose id begins with `prefix`."""
    status = "" if removed else " AND status <> 'removed'"
    return _resolve(index, prefix, f"SELECT id::VARCHAR FROM data WHERE project = ?{status}", project, "data")


def resolve_run(index: Index, prefix: str, *, project: str = "default") -> str:
    """The whole id of the one run whose id begins with `prefix`."""
    return _resolve(index, prefix, "SELECT id::VARCHAR FROM run WHERE project = ?", project, "run")


def resolve_node(index: Index, prefix: str, *, project: str = "default") -> str:
    """The one data that begins so, else the one that was removed, else the one run.

    A run and what it made begin alike, and it is data that people mean.
    """
    for resolve in (resolve_data, partial(resolve_data, removed=True), resolve_run):
        with suppress(UnknownId):
            return resolve(index, prefix, project=project)
    raise UnknownId(f"there is no data or run {prefix}", hint="`raykqi data find` lists what there is.")


def list_tags(
    index: Index, *, key: str = "", prefix: str = "", project: str = "default", limit: int = 1_000
) -> list[TagCount]:
    """Every tag in use and on how many data, most used first."""
    if limit < 1:
        raise InvalidQuery(f"a list of {limit} tags is not possible", hint="Ask for 1 or more.")
    conditions = _Conditions()
    conditions.add("d.status <> 'removed'")
    conditions.add("d.project = ?", project)
    if key:
        conditions.add("t.key = ?", key)
    if prefix:
        conditions.add("starts_with(t.key || ':' || t.value, ?)", prefix)
    sql = f"""
        SELECT t.key, t.value, count(*) FROM tag t JOIN data d ON d.number = t.data{conditions.where}
        GROUP BY t.key, t.value ORDER BY count(*) DESC, t.key, t.value LIMIT {int(limit)}
    """
    return [TagCount(*row) for row in index.rows(sql, conditions.parameters)]


def live_trees(index: Index, *, after: int = 0) -> set[str]:
    """The trees whose bytes must be kept, of data numbered above `after`."""
    sql = "SELECT DISTINCT tree FROM data WHERE status NOT IN ('purged', 'removed') AND tree <> '' AND number > ?"
    return {tree for (tree,) in index.rows(sql, [after])}


def tags_of(index: Index, numbers: Sequence[int]) -> dict[int, tuple[Tag, ...]]:
    tags: dict[int, list[Tag]] = {}
    for number, key, value in index.rows(_TAGS, [list(numbers)]) if numbers else ():
        tags.setdefault(number, []).append(Tag(key, value))
    return {number: tuple(its) for number, its in tags.items()}


def _conditions(query: DataQuery) -> _Conditions:
    conditions = _Conditions()
    conditions.add("d.project = ?", query.project)
    conditions.add("d.status <> 'removed'")
    for tag in query.tags:
        _add_tag(conditions, tag, "")
    for tag in query.without:
        _add_tag(conditions, tag, "NOT ")
    if query.id_prefix:
        between = prefix_range(check_id_prefix(query.id_prefix))
        conditions.add("d.id BETWEEN ?::UUID AND ?::UUID", *between or (NO_ID, NO_ID))
    if query.name:
        conditions.add(_HOLDS, "name", query.name)
    moment = "coalesce(d.timestamp, r.updated)"
    if query.since:
        conditions.add(f"{moment} >= ?", _naive(query.since))
    if query.until:
        conditions.add(f"{moment} < ?", _naive(query.until))
    if query.min_size is not None:
        conditions.add("d.size >= ?", _size(query.min_size))
    if query.max_size is not None:
        conditions.add("d.size <= ?", _size(query.max_size))
    if query.creator:
        conditions.add("d.creator = ?", query.creator)
    if query.upstream_run:
        if not is_id(query.upstream_run):
            raise InvalidQuery(f"{query.upstream_run!r} is not the id of a run", hint="Give the whole id.")
        conditions.add("d.run IN (SELECT number FROM run WHERE id = ?::UUID)", query.upstream_run)
    for each in query.filters:
        if isinstance(each, TagFilter):
            _add_tag(conditions, each.tag, "NOT " if each.without else "")
    for sql, parameters in conditions_of(query.filters, DATA_COLUMNS):
        conditions.add(sql, *parameters)
    return conditions


def _add_tag(conditions: _Conditions, tag: Tag, negation: str) -> None:
    if tag.key == SYSTEM_ID:
        conditions.add(f"{negation}(d.id::VARCHAR = ?)", tag.value.lower())
    elif tag.key == SYSTEM_TIMESTAMP:
        moment = _naive(parse_instant(tag.value))
        condition = "coalesce(date_trunc('millisecond', d.timestamp) = date_trunc('millisecond', ?), false)"
        conditions.add(f"{negation}({condition})", moment)
    elif tag.key == SYSTEM_TRANSIENT:
        conditions.add(f"{negation}(d.status = ?)", tag.value)
    else:
        conditions.add(f"{negation}({_HOLDS})", tag.key, tag.value)


def _holds(data: Data, query: DataQuery) -> bool:
    own = set(data.tags)
    asked = [each.tag for each in query.filters if isinstance(each, TagFilter) and not each.without]
    wanted = [tag for tag in (*query.tags, *asked) if not tag.is_system]
    return own.issuperset(wanted) and (not query.name or Tag("name", query.name) in own)


def _with_tags(index: Index, rows: Sequence[tuple[Any, ...]]) -> list[Data]:
    tags = tags_of(index, [row[0] for row in rows])
    tombstones = _tombstones(index, [row[0] for row in rows if row[3] in ("purged", "removed")])
    return [
        Data(
            id=id_,
            project=project,
            status=status,
            created=utc(created),
            timestamp=utc(timestamp) if timestamp else None,
            creator=creator,
            tree=TreeRef(tree, size, files),
            upstream=Upstream(run, plan, output),
            tags=tags.get(number, ()),
            tombstones=tombstones.get(number, ()),
        )
        for number, id_, project, status, created, timestamp, creator, tree, size, files, run, plan, output in rows
    ]


def _tombstones(index: Index, numbers: Sequence[int]) -> dict[int, tuple[Tombstone, ...]]:
    found: dict[int, tuple[Tombstone, ...]] = {}
    for number, kind, ended_at, ended_by, reason in index.rows(_TOMBSTONES, [list(numbers)]) if numbers else ():
        found[number] = (*found.get(number, ()), Tombstone(kind, utc(ended_at), ended_by, reason))
    return found


def _resolve(index: Index, text: str, select: str, project: str, kind: str) -> str:
    prefix = check_id_prefix(text, kind)
    between = prefix_range(prefix)
    found: list[str] = []
    if between:
        sql = f"{select} AND id BETWEEN ?::UUID AND ?::UUID ORDER BY id LIMIT {CANDIDATES + 1}"
        found = [id_ for (id_,) in index.rows(sql, [project, *between])]
    if not found:
        raise UnknownId(f"there is no {kind} {text}", hint=f"`raykqi {kind} find` lists what there is.")
    if len(found) > 1:
        shown = tuple(sorted(found)[:CANDIDATES])
        more = " and more" if len(found) > CANDIDATES else ""
        raise AmbiguousId(
            f"{text!r} begins several ids: {', '.join(shown)}{more}", candidates=shown, hint="Give more of the id."
        )
    return found[0]


def _size(wanted: int) -> int:
    """The same question in numbers that the index can hold."""
    return max(-1, min(wanted, LARGEST))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
