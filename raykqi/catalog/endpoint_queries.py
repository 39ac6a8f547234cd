"""Questions about endpoints, their revisions and jobs, and what their roll-out has to know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from raykqi.catalog.index import Index, utc
from raykqi.domain.endpoint import CURRENT, Endpoint, EndpointPage, EndpointSpec, Job, JobPage, Loading, Move, Revision
from raykqi.domain.ids import check_id_prefix, is_id
from raykqi.domain.plan import Definition
from raykqi.domain.rollout import JobOrder
from raykqi.domain.run import Cause
from raykqi.domain.tags import Tag
from raykqi.errors import AmbiguousId, InvalidInput, InvalidQuery, UnknownId

__all__ = ["Evaluation", "ServedEndpoint", "endpoints_of_models", "evaluations", "find_endpoints"]
__all__ += ["find_jobs", "get_endpoint", "get_job", "resolve_endpoint", "resolve_job", "resolve_served"]
__all__ += ["served_endpoints"]

MAX_PAGE = 1_000
EVALUATIONS = 100  # of one model are looked at, the newest first
PAST_REVISIONS = 10  # of an endpoint, beside its current ones, that its roll-out may have to go back to

_ENDPOINT = """
    SELECT id, name, project, spec, created, updated, creator, is_paused, is_pinned, followed, held, reason
    FROM endpoint
"""
_REVISION = """
    SELECT r.endpoint, r.number, r.data::VARCHAR, coalesce(d.tree, ''), r.loading, r.status, r.created, r.creator,
           r.cause, r.reason
    FROM revision r LEFT JOIN data d ON d.id = r.data
"""
_OF_THESE = "WHERE r.endpoint IN (SELECT unnest($endpoints::VARCHAR[])) ORDER BY r.endpoint, r.number"
_OF_THESE_LATELY = """
    WHERE r.endpoint IN (SELECT unnest($endpoints::VARCHAR[]))
      AND (r.status IN (SELECT unnest($current::VARCHAR[])) OR (r.endpoint, r.number) IN (
        SELECT (endpoint, revision) FROM (
            SELECT endpoint, revision, max(number) AS last FROM revision_move
            WHERE endpoint IN (SELECT unnest($endpoints::VARCHAR[])) GROUP BY endpoint, revision
            QUALIFY row_number() OVER (PARTITION BY endpoint ORDER BY last DESC) <= $past
        )
      ))
    ORDER BY r.endpoint, r.number
"""
_MOVES = """
    SELECT endpoint, revision, moment, author, status, reason FROM revision_move
    WHERE endpoint IN (SELECT unnest(?::VARCHAR[])) ORDER BY number
"""
_JOB = """
    SELECT j.id, j.endpoint, e.project, j.status, j.request, j.created, j.creator, j.kind, j.content_type, j.result,
           j.revision, j.ended, j.reason, coalesce(d.tree, '')
    FROM job j JOIN endpoint e ON e.id = j.endpoint
    LEFT JOIN data d ON d.id = TRY_CAST(nullif(j.result, '') AS UUID) AND d.status = 'done'
"""
_ORDERS = """
    SELECT j.endpoint, j.id, j.request, d.tree, j.kind, j.content_type
    FROM job j JOIN data d ON d.id = TRY_CAST(j.request AS UUID)
    WHERE j.status = 'waiting' AND j.endpoint IN (SELECT unnest(?::VARCHAR[])) ORDER BY j.id
"""
_CODE = """
    SELECT d.id::VARCHAR, p.definition FROM data d JOIN run r ON r.number = d.run JOIN plan p ON p.id = r.plan
    WHERE d.id IN (SELECT unnest(?::UUID[]))
"""
_MADE_OF = """
    SELECT o.number, o.tree FROM data m JOIN run_input i ON i.data = m.number JOIN data o ON o.run = i.run
    WHERE m.id = ?::UUID AND o.project = m.project AND o.status = 'done' AND o.output <> '(log)'
    ORDER BY o.timestamp DESC, o.number DESC LIMIT ?
"""
_TAGS = "SELECT data, key, value FROM tag WHERE data IN (SELECT unnest(?::BIGINT[])) ORDER BY data, key, value"
_CARDS = """
    SELECT d.id::VARCHAR, t.key, t.value FROM data d JOIN tag t ON t.data = d.number
    WHERE d.id IN (SELECT unnest(?::UUID[])) AND starts_with(t.key, 'card.') ORDER BY ALL
"""
_OF_MODELS = "SELECT DISTINCT endpoint FROM revision WHERE data IN (SELECT unnest(?::UUID[]))"


class ServedEndpoint(NamedTuple):
    """What the roll-out of an endpoint has to know. `reason` of the endpoint is why it is held.

    Of its past revisions only the last ones are here. `code`: for a model the tree of the code of its plan,
    `cards`: those of its tags that say things of it.
    """

    endpoint: Endpoint
    jobs: tuple[JobOrder, ...]
    code: dict[str, str]
    cards: dict[str, tuple[str, ...]]


class Evaluation(NamedTuple):
    """A data that may tell how good a model is."""

    tree: str
    tags: tuple[Tag, ...]


def find_endpoints(index: Index, *, project: str = "default", limit: int = 50, cursor: str = "") -> EndpointPage:
    """A page of the endpoints of the project, by name; the cursor is the name of the last one."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    sql = f"{_ENDPOINT} WHERE removed IS NULL AND project = ? AND name > ? ORDER BY name LIMIT ?"
    rows = index.rows(sql, [project, cursor, limit + 1])
    items = _endpoints(index, rows[:limit])
    return EndpointPage(tuple(items), items[-1].name if len(rows) > limit else "")


def get_endpoint(index: Index, name: str, *, project: str = "default") -> Endpoint:
    """By its name or its whole id, with all its revisions and their histories."""
    id_ = resolve_endpoint(index, name, project=project)
    return _endpoints(index, index.rows(f"{_ENDPOINT} WHERE id = ?", [id_]))[0]


def resolve_endpoint(index: Index, name: str, *, project: str = "default") -> str:
    """The id of the endpoint that has this name, or id, now. One of another project is not there; "" is any."""
    sql = "SELECT id FROM endpoint WHERE removed IS NULL AND (name = $1 OR id = $1) AND $2 IN ('', project)"
    rows = index.rows(sql, [name, project])
    if not rows:
        raise UnknownId(f"there is no endpoint {name!r}", hint="`raykqi serve list` lists what there is.")
    return str(rows[0][0])


def resolve_served(index: Index, endpoint: str, prefix: str) -> str:
    """The whole id of the one model of the endpoint that begins so; what is no such beginning is answered as it is."""
    rows = index.rows("SELECT DISTINCT data::VARCHAR FROM revision WHERE endpoint = ?", [endpoint])
    found = sorted(data for (data,) in rows if data.startswith(prefix.strip().lower()))
    if len(found) > 1:
        raise AmbiguousId(
            f"{prefix!r} begins several ids: {', '.join(found)}", candidates=tuple(found), hint="Give more of the id."
        )
    return found[0] if found else prefix


def endpoints_of_models(index: Index, data: Collection[str], *, project: str = "default") -> list[Endpoint]:
    """The endpoints of the project, not the removed ones, that serve or served one of the data, by name."""
    ids = [id_ for (id_,) in index.rows(_OF_MODELS, [list(data)])]
    sql = f"{_ENDPOINT} WHERE removed IS NULL AND project = ? AND id IN (SELECT unnest(?::VARCHAR[])) ORDER BY name"
    return _endpoints(index, index.rows(sql, [project, ids]))


def find_jobs(index: Index, endpoint: str, *, limit: int = 50, cursor: str = "") -> JobPage:
    """A page of the jobs of an endpoint, newest first."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidQuery(f"a page of {limit} is not possible", hint=f"Ask for 1 to {MAX_PAGE} at a time.")
    if cursor and not is_id(cursor):
        raise InvalidQuery(f"{cursor!r} is no cursor", hint="Give the next_cursor of the page before, unchanged.")
    sql = f"{_JOB} WHERE j.endpoint = $1 AND ($2 = '' OR j.id < $2) ORDER BY j.id DESC LIMIT $3"
    rows = index.rows(sql, [endpoint, cursor, limit + 1])
    items = [_job(row) for row in rows[:limit]]
    return JobPage(tuple(items), items[-1].id if len(rows) > limit else "")


def get_job(index: Index, id_: str, *, project: str = "default") -> Job:
    rows = index.rows(f"{_JOB} WHERE j.id = $1 AND $2 IN ('', e.project)", [id_, project])
    if not rows:
        raise _no_job(id_)
    return _job(rows[0])


def resolve_job(index: Index, prefix: str, *, project: str = "default") -> str:
    """The whole id of the one job that begins so."""
    try:
        begins = check_id_prefix(prefix, "serve")
    except InvalidInput as error:
        raise _no_job(prefix) from error
    sql = """
        SELECT j.id FROM job j JOIN endpoint e ON e.id = j.endpoint
        WHERE e.project = ? AND starts_with(j.id, ?) ORDER BY j.id LIMIT 11
    """
    found = [id_ for (id_,) in index.rows(sql, [project, begins])]
    if not found:
        raise _no_job(prefix)
    if len(found) > 1:
        raise AmbiguousId(
            f"{prefix!r} begins several ids: {', '.join(found)}", candidates=tuple(found), hint="Give more of the id."
        )
    return str(found[0])


# For the roll-out


def served_endpoints(index: Index) -> list[ServedEndpoint]:
    """Every endpoint that was not removed, of all projects."""
    rows = index.rows(f"{_ENDPOINT} WHERE removed IS NULL ORDER BY name")
    if not rows:
        return []
    # Why somebody has paused it is not why it is held.
    endpoints = _endpoints(index, [(*row[:-1], "") for row in rows], lately=True)
    orders: dict[str, list[JobOrder]] = {}
    for endpoint, *order in index.rows(_ORDERS, [[each.id for each in endpoints]]):
        orders.setdefault(endpoint, []).append(JobOrder(*order))
    models = {revision.data for endpoint in endpoints for revision in endpoint.revisions}
    code, cards = _code(index, models), _cards(index, models)
    return [
        ServedEndpoint(
            endpoint,
            tuple(orders.get(endpoint.id, ())),
            {each.data: code[each.data] for each in endpoint.revisions if each.data in code},
            {each.data: cards[each.data] for each in endpoint.revisions if each.data in cards},
        )
        for endpoint in endpoints
    ]


def evaluations(index: Index, data: str) -> tuple[Evaluation, list[Evaluation]]:
    """A model, and what runs of its project made of it, newest first."""
    model = index.rows("SELECT number, tree FROM data WHERE id = ?::UUID", [data])
    made = index.rows(_MADE_OF, [data, EVALUATIONS])
    if not model:
        raise UnknownId(f"there is no data {data}", hint="`raykqi data find` lists what there is.")
    tags: dict[int, list[Tag]] = {}
    for number, key, value in index.rows(_TAGS, [[number for number, _ in (*model, *made)]]):
        tags.setdefault(number, []).append(Tag(key, value))
    first, *others = (Evaluation(tree, tuple(tags.get(number, ()))) for number, tree in (*model, *made))
    return first, others


def _code(index: Index, data: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for id_, definition in index.rows(_CODE, [list(data)]) if data else ():
        code = msgspec.json.decode(definition, type=Definition).code
        if code:
            found[id_] = code.tree
    return found


def _cards(index: Index, data: Collection[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for id_, key, value in index.rows(_CARDS, [list(data)]) if data else ():
        found[id_] = (*found.get(id_, ()), f"{key}:{value}")
    return found


def _endpoints(index: Index, rows: Sequence[tuple[Any, ...]], *, lately: bool = False) -> list[Endpoint]:
    ids = [row[0] for row in rows]
    if not ids:
        return []
    moves: dict[tuple[str, int], list[Move]] = {}
    for endpoint, number, moment, author, status, reason in index.rows(_MOVES, [ids]):
        moves.setdefault((endpoint, number), []).append(Move(utc(moment), author, status, reason))
    revisions: dict[str, list[Revision]] = {}
    given: dict[str, object] = {"endpoints": ids}
    if lately:
        given |= {"current": list(CURRENT), "past": PAST_REVISIONS}
    for row in index.rows(_REVISION + (_OF_THESE_LATELY if lately else _OF_THESE), given):
        endpoint, number, data, tree, loading, status, created, creator, cause, reason = row
        revisions.setdefault(endpoint, []).append(
            Revision(
                number=number,
                data=data,
                tree=tree,
                loading=msgspec.json.decode(loading, type=Loading),
                status=status,
                created=utc(created),
                by=creator,
                cause=msgspec.json.decode(cause, type=Cause),
                reason=reason,
                history=tuple(moves.get((endpoint, number), ())),
            )
        )
    return [_endpoint(row, tuple(revisions.get(row[0], ()))) for row in rows]


def _endpoint(row: tuple[Any, ...], revisions: tuple[Revision, ...]) -> Endpoint:
    id_, name, project, spec, created, updated, creator, is_paused, is_pinned, followed, held, reason = row
    return Endpoint(
        id=id_,
        name=name,
        project=project,
        spec=msgspec.json.decode(spec, type=EndpointSpec),
        created=utc(created),
        updated=utc(updated),
        creator=creator,
        is_paused=is_paused,
        is_pinned=is_pinned,
        followed=followed,
        reason=reason or held,
        revisions=revisions,
    )


def _job(row: tuple[Any, ...]) -> Job:
    id_, endpoint, project, status, request, created, by, kind, content_type, result, revision, ended, reason, tree = (
        row
    )
    return Job(
        id=id_,
        endpoint=endpoint,
        project=project,
        status=status,
        request=request,
        created=utc(created),
        by=by,
        kind=kind,
        content_type=content_type,
        result=result,
        revision=revision,
        ended=ended and utc(ended),
        reason=reason,
        tree=tree,
    )


def _no_job(id_: str) -> UnknownId:
    return UnknownId(f"there is no job {id_}", hint="`raykqi serve jobs NAME` lists those of an endpoint.")
