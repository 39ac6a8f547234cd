"""Questions about plans: which there are, what follows what, and what may sit in their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from raykqi.catalog.filtering import PLAN_COLUMNS, conditions_of
from raykqi.catalog.index import Index, utc
from raykqi.domain.ids import check_id_prefix, is_id
from raykqi.domain.plan import Definition, Plan, PlanPage, PlanQuery, PlanSettings
from raykqi.errors import AmbiguousId, InvalidInput, InvalidQuery, UnknownId

__all__ = ["code_with_tree", "find_plans", "get_plan", "matched_by", "named_plans", "resolve_plan"]

MAX_PAGE = 1_000
_COLUMNS = """
    SELECT p.id, p.project, p.definition, p.settings, p.created, p.creator, p.digest, p.backlog, p.held FROM plan p
"""
_COUNTS = """
    SELECT plan, status, count(*) FROM run WHERE plan IN (SELECT unnest(?::VARCHAR[])) GROUP BY ALL
"""
_HAS_TAGS = """
    p.number IN (
        SELECT o.plan FROM plan_port o JOIN plan_tag t ON t.port = o.number
        WHERE (o.kind = 'input') = ? AND t.key = ? AND t.value = ?
    )
"""
_MATCHED = """
    SELECT d.id::VARCHAR, p.id, o.name FROM matched m JOIN data d ON d.number = m.data
    JOIN plan_port o ON o.number = m.port JOIN plan p ON p.number = o.plan
    WHERE d.id IN (SELECT unnest($1::UUID[])) AND d.project = $2 AND p.project = $2 ORDER BY p.number, o.number
"""
_CODE = """
    SELECT d.id::VARCHAR FROM data d JOIN run r ON r.number = d.run
    WHERE d.tree = ? AND d.project = ? AND d.status = 'done' AND r.plan = 'raykqi#code' ORDER BY d.number LIMIT 1
"""


def find_plans(index: Index, query: PlanQuery, *, limit: int = 50, cursor: str = "") -> PlanPage:
    """A page of plans, newest first."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    if cursor and not is_id(cursor):
        raise InvalidQuery(f"{cursor!r} is no cursor", hint="Give the next_cursor of the page before, unchanged.")
    sql, parameters = ["p.project = ?"], [query.project]
    given: list[object] = parameters  # type: ignore[assignment]
    if cursor:
        sql.append("p.id < ?")
        given.append(cursor)
    if query.active is not None:
        sql.append("p.active = ?")
        given.append(query.active)
    if query.name:
        sql.append("p.name = ?")
        given.append(query.name)
    if query.image:
        sql.append("(p.image = ? OR starts_with(p.image, ? || ':') OR starts_with(p.image, ? || '@'))")
        given += [query.image] * 3
    for is_input, tags in ((True, query.in_tags), (False, query.out_tags)):
        for tag in tags:
            sql.append(_HAS_TAGS)
            given += [is_input, *tag]
    for key, value in query.annotations:
        sql.append("contains(p.settings, ?)")
        given.append(msgspec.json.encode([key, value]).decode())
    for condition, values in conditions_of(query.filters, PLAN_COLUMNS):
        sql.append(condition)
        given += values
    where = " AND ".join(sql)
    rows = index.rows(f"{_COLUMNS} WHERE {where} ORDER BY p.number DESC LIMIT {limit + 1}", given)
    items = _plans(index, rows[:limit])
    return PlanPage(tuple(items), items[-1].id if len(rows) > limit else "")


def get_plan(index: Index, id_: str, *, project: str = "default") -> Plan:
    rows = index.rows(f"{_COLUMNS} WHERE p.id = $1 AND $2 IN ('', p.project)", [id_, project])
    if not rows:
        raise UnknownId(f"there is no plan {id_}", hint="`raykqi plan find` lists what there is.")
    return _plans(index, rows)[0]


def resolve_plan(index: Index, text: str, *, project: str = "default") -> str:
    """The plan with that id or beginning of one, else the newest with that name."""
    rows = index.rows(
        "SELECT id FROM plan WHERE project = ? AND name = ? ORDER BY number DESC LIMIT 1", [project, text]
    )
    if rows:
        return str(rows[0][0])
    try:
        prefix = check_id_prefix(text)
    except InvalidInput as error:
        raise UnknownId(f"there is no plan {text!r}", hint="`raykqi plan find` lists what there is.") from error
    sql = "SELECT id FROM plan WHERE project = ? AND starts_with(id, ?) ORDER BY id LIMIT 11"
    found = [id_ for (id_,) in index.rows(sql, [project, prefix])]
    if not found:
        raise UnknownId(f"there is no plan {text!r}", hint="`raykqi plan find` lists what there is.")
    if len(found) > 1:
        raise AmbiguousId(
            f"{text!r} begins several ids: {', '.join(found)}", candidates=tuple(found), hint="Give more of the id."
        )
    return str(found[0])


def named_plans(index: Index, name: str, *, project: str = "default", active: bool = False) -> list[str]:
    """All plans of that name, oldest first; the active ones alone if asked for."""
    sql = "SELECT id FROM plan WHERE project = ? AND name = ? AND (active OR NOT ?) ORDER BY number"
    return [id_ for (id_,) in index.rows(sql, [project, name, active])]


def matched_by(index: Index, data: Sequence[str], *, project: str = "default") -> dict[str, list[tuple[str, str]]]:
    """For each data of the project: the plans and inputs that may take it now."""
    found: dict[str, list[tuple[str, str]]] = {}
    for id_, plan, name in index.rows(_MATCHED, [list(data), project]):
        found.setdefault(id_, []).append((plan, name))
    return found


def code_with_tree(index: Index, tree: str, *, project: str = "default") -> str:
    """The data of the project that holds this code, or ""."""
    rows = index.rows(_CODE, [tree, project])
    return str(rows[0][0]) if rows else ""


def _plans(index: Index, rows: Sequence[tuple[Any, ...]]) -> list[Plan]:
    counts: dict[str, dict[str, int]] = {}
    for plan, status, count in index.rows(_COUNTS, [[row[0] for row in rows]]) if rows else ():
        counts.setdefault(plan, {})[status] = count
    return [
        Plan(
            id=id_,
            project=project,
            definition=msgspec.json.decode(definition, type=Definition),
            settings=msgspec.json.decode(settings, type=PlanSettings),
            created=utc(created),
            creator=creator,
            digest=digest,
            backlog=backlog,
            held=held,
            runs=counts.get(id_, {}),
        )
        for id_, project, definition, settings, created, creator, digest, backlog, held in rows
    ]
