"""Questions about runs: which there are, one whole run, why it waits and for how many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from raykqi.catalog.filtering import RUN_COLUMNS, conditions_of
from raykqi.catalog.index import Index, utc
from raykqi.catalog.quotas import held_bytes, quotas_of, taken_by
from raykqi.catalog.redaction import pseudonym
from raykqi.domain.filters import ChoiceFilter
from raykqi.domain.ids import is_id
from raykqi.domain.plan import BUILTIN_PLANS, PlanSettings
from raykqi.domain.quota import why_over, why_over_storage
from raykqi.domain.run import Cause, Exit, Run, RunInputData, RunOutputData, RunPage, RunQuery, Usage
from raykqi.errors import InvalidQuery, UnknownId

__all__ = ["count_runs", "find_runs", "get_runs", "statuses_of"]

MAX_PAGE = 1_000
_COLUMNS = """
    SELECT r.number, r.id::VARCHAR, r.project, r.plan, coalesce(p.name, ''), coalesce(p.image, ''), r.status, r.attempt,
           r.created, r.updated, r.creator, r.started, r.ended, r.exit_code, r.exit_message, r.reason, r.node, r.after,
           r.usage, r.cause, r.reused_from, p.held, p.running_limit, p.definition,
           p.settings
    FROM run r LEFT JOIN plan p ON p.id = r.plan
"""
_INPUTS = """
    SELECT i.run, i.name, d.id::VARCHAR, coalesce(o.path, ''), CASE WHEN d.project <> r.project THEN r.project END
    FROM run_input i JOIN data d ON d.number = i.data
    JOIN run r ON r.number = i.run LEFT JOIN plan p ON p.id = r.plan
    LEFT JOIN plan_port o ON o.plan = p.number AND o.kind = 'input' AND o.name = i.name
    WHERE i.run IN (SELECT unnest(?::BIGINT[])) ORDER BY i.run, o.number NULLS LAST, i.name, d.number
"""
_OUTPUTS = """
    SELECT d.run, d.output, d.id::VARCHAR, coalesce(o.path, '') FROM data d JOIN run r ON r.number = d.run
    LEFT JOIN plan p ON p.id = r.plan
    LEFT JOIN plan_port o ON o.plan = p.number AND o.kind = 'output' AND o.name = d.output
    WHERE d.run IN (SELECT unnest(?::BIGINT[])) AND (d.status <> 'removed' OR r.status = 'invalidated')
    ORDER BY d.run, d.number
"""
# A run's place: how many that wait come before it, by priority and then by age.
_PLACES = """
    SELECT number, place FROM (
        SELECT r.number, row_number() OVER (ORDER BY p.priority DESC, r.number) AS place
        FROM run r JOIN plan p ON p.id = r.plan WHERE r.status = 'waiting' AND p.held = ''
    ) WHERE number IN (SELECT unnest(?::BIGINT[]))
"""
_RUNNING = """
    SELECT plan, count(*) FROM run
    WHERE status IN ('ready', 'starting', 'running', 'completing', 'aborting') AND plan IN (SELECT unnest(?::VARCHAR[]))
    GROUP BY plan
"""


def find_runs(index: Index, query: RunQuery, *, limit: int = 50, cursor: str = "") -> RunPage:
    """A page of the runs that meet every condition, newest first unless asked otherwise."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    if cursor and not is_id(cursor):
        raise InvalidQuery(f"{cursor!r} is no cursor", hint="Give the next_cursor of the page before, unchanged.")
    where, parameters = _conditions(query)
    if cursor:
        where += f" AND r.id {'>' if query.oldest_first else '<'} ?::UUID"
        parameters.append(cursor)
    order = "ASC" if query.oldest_first else "DESC"
    page = f"SELECT r.number FROM run r WHERE {where} ORDER BY r.number {order} LIMIT {limit + 1}"
    rows = index.rows(f"{_COLUMNS} WHERE r.number IN ({page}) ORDER BY r.number {order}", parameters)
    items = _runs(index, rows[:limit])
    return RunPage(tuple(items), items[-1].id if len(rows) > limit else "")


def count_runs(index: Index, query: RunQuery) -> int:
    where, parameters = _conditions(query)
    return int(index.rows(f"SELECT count(*) FROM run r WHERE {where}", parameters)[0][0])


def get_runs(index: Index, ids: Sequence[str], *, project: str = "") -> list[Run]:
    """These runs, in the order asked for; with `project`, those of others are not there."""
    rows = index.rows(
        f"{_COLUMNS} WHERE r.id IN (SELECT unnest($1::UUID[])) AND $2 IN ('', r.project)", [list(ids), project]
    )
    found = {run.id: run for run in _runs(index, rows)}
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise UnknownId(f"there is no run {missing[0]}", hint="`raykqi run find` lists what there is.")
    return [found[id_] for id_ in ids]


def statuses_of(index: Index, ids: Sequence[str], *, project: str = "") -> dict[str, str]:
    """How far these runs have come, those of the project if one is named."""
    sql = "SELECT id::VARCHAR, status FROM run WHERE id IN (SELECT unnest($1::UUID[])) AND $2 IN ('', project)"
    return dict(index.rows(sql, [list(ids), project]))


def _conditions(query: RunQuery) -> tuple[str, list[object]]:
    sql, parameters = ["r.project = ?"], [query.project]
    given: list[object] = parameters  # type: ignore[assignment]
    if query.plans:
        sql.append("r.plan IN (SELECT unnest(?::VARCHAR[]))")
        given.append(list(query.plans))
    else:
        sql.append("NOT starts_with(r.plan, 'raykqi#')")
    if query.statuses:
        sql.append("r.status IN (SELECT unnest(?::VARCHAR[]))")
        given.append(list(query.statuses))
    elif not any(isinstance(each, ChoiceFilter) and "invalidated" in each.words for each in query.filters):
        sql.append("r.status <> 'invalidated'")
    if query.inputs:
        sql.append(
            "r.number IN (SELECT i.run FROM run_input i JOIN data d ON d.number = i.data"
            " WHERE d.project = ? AND d.id IN (SELECT unnest(?::UUID[])))"
        )
        given += [query.project, list(query.inputs)]
    if query.outputs:
        sql.append("r.number IN (SELECT d.run FROM data d WHERE d.id IN (SELECT unnest(?::UUID[])))")
        given.append(list(query.outputs))
    if query.since:
        sql.append("r.updated >= ?")
        given.append(_naive(query.since))
    if query.until:
        sql.append("r.updated < ?")
        given.append(_naive(query.until))
    for condition, values in conditions_of(query.filters, RUN_COLUMNS):
        sql.append(condition)
        given += values
    return " AND ".join(sql), given


def _runs(index: Index, rows: Sequence[tuple[Any, ...]]) -> list[Run]:
    numbers = [[row[0] for row in rows]]
    if not rows:
        return []
    inputs: dict[int, list[RunInputData]] = {}
    for run, name, data, path, blind in index.rows(_INPUTS, numbers):
        shown = pseudonym(index.workspace, blind, data) if blind else data
        inputs.setdefault(run, []).append(RunInputData(name, shown, path))
    outputs: dict[int, list[RunOutputData]] = {}
    for run, name, data, path in index.rows(_OUTPUTS, numbers):
        outputs.setdefault(run, []).append(RunOutputData(name, data, path))
    waiting = [row[0] for row in rows if row[6] == "waiting"]
    places = dict(index.rows(_PLACES, [waiting])) if waiting else {}
    plans = [row[3] for row in rows if row[6] == "waiting"]
    running = dict(index.rows(_RUNNING, [plans])) if plans else {}
    over = _over_quota(index, rows) if plans else {}
    return [
        _run(
            row,
            inputs.get(row[0], []),
            outputs.get(row[0], []),
            places.get(row[0], 0),
            running.get(row[3], 0),
            over.get(row[3], ""),
        )
        for row in rows
    ]


def _over_quota(index: Index, rows: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    """Of the plans of which a run waits: why the quota of their project lets none of their runs start."""
    quotas = quotas_of(index)
    projects = {row[2] for row in rows if row[6] == "waiting"} & quotas.keys()
    taken = {project: taken_by(index, project) for project in projects}
    limits = {project: limit for project in projects if (limit := quotas[project].storage) is not None}
    sated = {
        project: why_over_storage(project, limit, held_bytes(index, project, limit=limit))
        for project, limit in limits.items()
    }
    reasons: dict[str, str] = {}
    for row in rows:
        project, plan, settings = row[2], row[3], row[24]
        if row[6] == "waiting" and project in projects and plan not in reasons and settings:
            wanted = msgspec.json.decode(settings, type=PlanSettings).resources
            reasons[plan] = sated.get(project) or why_over(project, quotas[project], taken[project], wanted)
    return reasons


def _run(
    row: tuple[Any, ...],
    inputs: list[RunInputData],
    outputs: list[RunOutputData],
    place: int,
    running: int,
    over_quota: str,
) -> Run:
    (
        _, id_, project, plan, name, image, status, attempt, created, updated, creator, started, ended, exit_code,
        exit_message, reason, node, after, usage, cause, reused_from, held, running_limit, definition, _,
    ) = row  # fmt: skip
    if status == "waiting":
        reason = _why_it_waits(reason, after, held, running, running_limit, place, over_quota)
    return Run(
        id=id_,
        project=project,
        plan=plan,
        title=name or image or _title(plan, definition),
        status=status,
        attempt=attempt,
        created=utc(created),
        updated=utc(updated),
        creator=creator,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        started=utc(started) if started else None,
        ended=utc(ended) if ended else None,
        exit=None if exit_code is None else Exit(exit_code, exit_message),
        reason=reason,
        place=place,
        node=node,
        usage=msgspec.json.decode(usage, type=Usage) if usage else None,
        cause=msgspec.json.decode(cause, type=Cause) if cause else None,
        reused_from=reused_from,
    )


def _title(plan: str, definition: str | None) -> str:
    from raykqi.domain.plan import Definition

    if plan in BUILTIN_PLANS or not definition:
        return plan
    return msgspec.json.decode(definition, type=Definition).title


def _why_it_waits(
    reason: str, after: datetime | None, held: str, running: int, running_limit: int, place: int, over_quota: str
) -> str:
    nth = f"number {place} in the queue" if place else ""
    if after and utc(after) > datetime.now(UTC):
        return f"{reason}, not before {utc(after).isoformat(timespec='seconds')}"
    if held:
        return held
    if over_quota:
        return over_quota
    if running_limit and running >= running_limit:
        return f"{running} of at most {running_limit} runs of its plan are under way; {nth}"
    return f"{nth} ({reason})" if nth and reason else nth or reason


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
