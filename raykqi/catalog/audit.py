"""Who did what when: the deeds, and what other tables tell of data, tags and plans, as one list.

Most questions are about what was done last, so spans of time are looked through that grow from the newest end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from raykqi.catalog.index import Index, utc
from raykqi.domain.access import Deed, DeedPage, DeedQuery
from raykqi.domain.ids import is_id
from raykqi.errors import InvalidQuery

__all__ = ["find_deeds"]

MAX_PAGE = 1_000
SPANS = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=30))
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

# Each answers moment, place, rank, mark, author, project, action, subject, detail; place, rank and mark tell apart
# what happened at the same moment.
_DEEDS = """
    SELECT n.moment, 5 AS place, n.number AS rank, '' AS mark, n.author, n.project, n.action, n.subject, n.detail
    FROM deed n WHERE {moment} AND {conditions}
"""
_PLANS = """
    SELECT p.created AS moment, 4 AS place, p.number AS rank, '' AS mark, p.creator AS author, p.project,
           'plan.applied' AS action, p.id AS subject, coalesce(nullif(p.name, ''), p.image) AS detail
    FROM plan p WHERE {moment} AND {conditions}
"""
_TOMBSTONES = """
    SELECT s.ended_at AS moment, 3 AS place, s.data AS rank, s.kind AS mark, s.ended_by AS author, d.project,
           'data.' || s.kind AS action, d.id::VARCHAR AS subject, s.reason AS detail
    FROM tombstone s JOIN data d ON d.number = s.data WHERE {moment} AND {conditions}
"""
# What data was born with is no change.
_TAGS = """
    SELECT c.moment, 2 AS place, c.data AS rank, c.author AS mark, c.author, d.project,
           'tags.changed' AS action, d.id::VARCHAR AS subject, string_agg(c.change, ' ' ORDER BY c.change) AS detail
    FROM (
        SELECT t.added_at AS moment, t.data, t.added_by AS author, '+' || t.key || ':' || t.value AS change,
               true AS came
        FROM tag t WHERE {added}
        UNION ALL
        SELECT t.added_at, t.data, t.added_by, '+' || t.key || ':' || t.value, true FROM tag_past t WHERE {added}
        UNION ALL
        SELECT t.removed_at, t.data, t.removed_by, '-' || t.key || ':' || t.value, false FROM tag_past t WHERE {removed}
    ) c JOIN data d ON d.number = c.data
    WHERE NOT (c.came AND c.moment = d.created) AND {conditions} GROUP BY ALL
"""
_PUSHES = """
    SELECT d.created AS moment, 1 AS place, d.number AS rank, '' AS mark, d.creator AS author, d.project,
           CASE r.plan WHEN 'raykqi#imported' THEN 'data.imported' ELSE 'data.pushed' END AS action,
           d.id::VARCHAR AS subject, '' AS detail
    FROM data d JOIN run r ON r.number = d.run
    WHERE r.plan IN ('raykqi#uploaded', 'raykqi#imported') AND {moment} AND {conditions}
"""
_ORDER = "moment DESC, place DESC, rank DESC, mark DESC"


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended."""

    moment: datetime
    place: int
    rank: int
    mark: str


class _Source(NamedTuple):
    """Where deeds of some actions are told, and under which names what may be asked for stands there."""

    sql: str
    actions: tuple[str, ...]  # none: any
    author: str
    project: str
    subject: str
    moments: dict[str, str]


_SOURCES = (
    _Source(_DEEDS, (), "n.author", "n.project", "n.subject", {"moment": "n.moment"}),
    _Source(_PLANS, ("plan.applied",), "p.creator", "p.project", "p.id", {"moment": "p.created"}),
    _Source(_TOMBSTONES, ("data.purged", "data.removed"), "s.ended_by", "d.project", "d.id", {"moment": "s.ended_at"}),
    _Source(
        _TAGS, ("tags.changed",), "c.author", "d.project", "d.id", {"added": "t.added_at", "removed": "t.removed_at"}
    ),
    _Source(_PUSHES, ("data.pushed", "data.imported"), "d.creator", "d.project", "d.id", {"moment": "d.created"}),
)


def find_deeds(index: Index, query: DeedQuery, *, limit: int = 50, cursor: str = "") -> DeedPage:
    """A page of what was done, newest first."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    after = _read(cursor) if cursor else None
    rows: list[tuple[Any, ...]] = []
    for since in _spans(query, after, index):
        rows = _rows(index, query, since, after, limit)
        if len(rows) > limit:
            break
    items = tuple(Deed(utc(moment), *rest) for moment, _, _, _, *rest in rows[:limit])
    return DeedPage(items, _cursor(rows[limit - 1]) if len(rows) > limit else "")


def _spans(query: DeedQuery, after: _Place | None, index: Index) -> Iterable[datetime]:
    """Beginnings, earlier and earlier."""
    first = query.since or BEGINNING
    newest = after.moment if after else query.until or index.position().time
    yield from (newest - span for span in SPANS if newest - span > first)
    yield first


def _rows(index: Index, query: DeedQuery, since: datetime, after: _Place | None, limit: int) -> list[tuple[Any, ...]]:
    parts: list[str] = []
    given: dict[str, object] = {"since": _naive(since)}
    if query.until:
        given["until"] = _naive(query.until)
    if after:
        given |= {"end": _naive(after.moment), "place": after.place, "rank": after.rank, "mark": after.mark}
    for source in _SOURCES:
        conditions = _conditions(source, query, given)
        if conditions is None:
            continue
        bounds = {
            name: f"{column} >= $since"
            + (f" AND {column} < $until" if query.until else "")
            + (f" AND {column} <= $end" if after else "")
            for name, column in source.moments.items()
        }
        part = source.sql.format(conditions=conditions, **bounds)
        earlier = "WHERE (moment, place, rank, mark) < ($end, $place, $rank, $mark)" if after else ""
        parts.append(f"(FROM ({part}) {earlier} ORDER BY {_ORDER} LIMIT {limit + 1})")
    if not parts:
        return []
    sql = f"FROM ({' UNION ALL '.join(parts)}) ORDER BY {_ORDER} LIMIT {limit + 1}"
    return index.rows(sql, {name: value for name, value in given.items() if f"${name}" in sql})


def _conditions(source: _Source, query: DeedQuery, given: dict[str, object]) -> str | None:
    """None: it cannot hold what is asked for."""
    if query.action and source.actions and query.action not in source.actions:
        return None
    conditions = ["true"]
    if query.action and not source.actions:
        conditions.append("n.action = $action")
    if query.action in ("data.purged", "data.removed") and source.actions:
        conditions.append("'data.' || s.kind = $action")
    if query.action in ("data.pushed", "data.imported") and source.actions:
        conditions.append("'raykqi#' || CASE $action WHEN 'data.pushed' THEN 'uploaded' ELSE 'imported' END = r.plan")
    if query.subject:
        of_data = source.subject == "d.id"
        if of_data and not is_id(query.subject):
            return None
        conditions.append(f"{source.subject} = $subject{'::UUID' if of_data else ''}")
    if query.by:
        conditions.append(f"{source.author} = $author")
    if query.project:
        conditions.append(f"{source.project} = $project")
    given |= {"action": query.action, "subject": query.subject, "author": query.by, "project": query.project}
    return " AND ".join(conditions)


def _cursor(row: tuple[Any, ...]) -> str:
    moment, place, rank, mark = row[:4]
    return msgspec.json.encode(_Place(utc(moment), place, rank, mark)).hex()


def _read(cursor: str) -> _Place:
    try:
        return msgspec.json.decode(bytes.fromhex(cursor), type=_Place)
    except (ValueError, msgspec.DecodeError):
        raise InvalidQuery(
            f"{cursor!r} is no cursor", hint="Give the next_cursor of the page before, unchanged."
        ) from None


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
