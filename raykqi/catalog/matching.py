"""Which assignments there are that have no run yet.

Plans with one plain input are answered together by one statement. Any other plan is asked by itself:
each input becomes a list of candidates (single data, the newest, or all of them as one), which are
combined, and what has a run already, in whatever state, is taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import duckdb
import msgspec

from raykqi.domain.plan import Definition, PlanInput, PlanSettings

__all__ = ["Assignment", "PlanToMatch", "assignments_of_plain", "assignments_of_plan", "backlogged_plans"]
__all__ += ["numbers_of", "plans_to_match", "single_assignments", "single_inputs"]
__all__ += ["takers"]


class PlanToMatch(NamedTuple):
    """`room` is how many more runs of it may wait."""

    number: int
    id: str
    project: str
    is_plain: bool
    backlog: bool
    room: int
    definition: Definition
    settings: PlanSettings


class Assignment(NamedTuple):
    """What sits in each input, as ids; `trigger` is the data that brought it about, or ""."""

    plan: str
    inputs: tuple[tuple[str, tuple[str, ...]], ...]
    trigger: str


LARGEST = (1 << 63) - 1
_COLUMNS = "SELECT number, id, project, is_plain, backlog, pending_limit, definition, settings FROM plan"
_NUMBERED = f"{_COLUMNS} WHERE number IN (SELECT unnest(?::BIGINT[]))"
_NAMED = f"{_COLUMNS} WHERE id IN (SELECT unnest(?::VARCHAR[]))"
_PENDING = """
    SELECT plan, count(*) FROM run
    WHERE status IN ('deactivated', 'waiting', 'ready', 'starting', 'running', 'completing', 'aborting')
      AND plan IN (SELECT unnest(?::VARCHAR[])) GROUP BY plan
"""
_TAKERS = """
    SELECT DISTINCT o.plan FROM matched m JOIN plan_port o ON o.number = m.port
    WHERE m.data IN (SELECT unnest(?::BIGINT[]))
"""
_PLAIN = """
    SELECT p.id, o.name, d.id::VARCHAR
    FROM matched m JOIN plan_port o ON o.number = m.port AND o.kind = 'input'
    JOIN plan p ON p.number = o.plan AND p.number IN (SELECT unnest($plans::BIGINT[]))
    JOIN data d ON d.number = m.data
    WHERE (m.data IN (SELECT unnest($data::BIGINT[])) OR $every)
      AND NOT EXISTS (
        SELECT 1 FROM run_input i JOIN run r ON r.number = i.run
        WHERE i.data = m.data AND i.name = o.name AND r.plan = p.id
      )
    QUALIFY row_number() OVER (PARTITION BY p.number ORDER BY d.number) <= $most
    ORDER BY p.number, d.number
"""
_WITH_THESE = "i.run IN (SELECT run FROM run_input WHERE data IN (SELECT unnest($data::BIGINT[])))"
_PORTS = "SELECT number, name FROM plan_port WHERE plan = ? AND kind = 'input'"
_IDS = "SELECT number, id::VARCHAR FROM data WHERE number IN (SELECT unnest(?::BIGINT[]))"


def plans_to_match(
    connection: duckdb.DuckDBPyConnection, *, numbers: Collection[int], ids: Collection[str]
) -> list[PlanToMatch]:
    """These plans, by number or id."""
    rows = connection.execute(_NUMBERED, [list(numbers)]).fetchall() if numbers else []
    if ids:
        seen = {row[0] for row in rows}
        rows += [row for row in connection.execute(_NAMED, [list(ids)]).fetchall() if row[0] not in seen]
    pending = dict(connection.execute(_PENDING, [[row[1] for row in rows]]).fetchall()) if rows else {}
    return [
        PlanToMatch(
            number,
            id_,
            project,
            is_plain,
            backlog,
            limit - pending.get(id_, 0),
            msgspec.json.decode(definition, type=Definition),
            msgspec.json.decode(settings, type=PlanSettings),
        )
        for number, id_, project, is_plain, backlog, limit, definition, settings in sorted(rows)
    ]


def takers(connection: duckdb.DuckDBPyConnection, data: Collection[int]) -> set[int]:
    """The plans that may take one of the data."""
    return {plan for (plan,) in connection.execute(_TAKERS, [list(data)]).fetchall()} if data else set()


def backlogged_plans(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The plans of which matches are held back."""
    return [id_ for (id_,) in connection.execute("SELECT id FROM plan WHERE backlog ORDER BY number").fetchall()]


def numbers_of(connection: duckdb.DuckDBPyConnection, ids: Collection[str]) -> dict[str, int]:
    """The numbers of data, by id."""
    sql = "SELECT id::VARCHAR, number FROM data WHERE id IN (SELECT unnest(?::UUID[]))"
    return dict(connection.execute(sql, [list(ids)]).fetchall()) if ids else {}


def single_inputs(
    connection: duckdb.DuckDBPyConnection, plans: Sequence[PlanToMatch], data: Mapping[int, Collection[int]]
) -> Iterator[Assignment]:
    """Plans with one plain input, each with its data, by number, that no run can have taken."""
    numbers = {number for taken in data.values() for number in taken}
    ids = dict(connection.execute(_IDS, [list(numbers)]).fetchall()) if numbers else {}
    yield from single_assignments(plans, {plan: {n: ids[n] for n in taken} for plan, taken in data.items()})


def single_assignments(plans: Sequence[PlanToMatch], data: Mapping[int, Mapping[int, str]]) -> Iterator[Assignment]:
    """The same where the ids of the data are known."""
    for plan in plans:
        name = plan.definition.inputs[0].name
        for number in sorted(data[plan.number]):
            id_ = data[plan.number][number]
            yield Assignment(plan.id, ((name, (id_,)),), id_)


def assignments_of_plain(
    connection: duckdb.DuckDBPyConnection, plans: Sequence[PlanToMatch], data: Collection[int], *, most: int = -1
) -> Iterator[Assignment]:
    """New ones of plans with one plain input that one of the data takes part in.

    With `most`, at most so many of each plan, and those of all data when none are named.
    """
    if not data and most < 0:
        return
    most = LARGEST if most < 0 else most
    asked = {"plans": [plan.number for plan in plans], "data": list(data), "every": not data, "most": most}
    for plan, name, id_ in connection.execute(_PLAIN, asked).fetchall():
        yield Assignment(plan, ((name, (id_,)),), id_ if data else "")


def assignments_of_plan(
    connection: duckdb.DuckDBPyConnection, plan: PlanToMatch, data: Collection[int], *, most: int
) -> Iterator[Assignment]:
    """New ones of one plan. With `data`, only those that one of them takes part in, unless others can follow too."""
    inputs = plan.definition.inputs
    ports = {name: number for number, name in connection.execute(_PORTS, [plan.number]).fetchall()}
    is_plain = all(given.take == "each" for given in inputs)
    sql, parameters = _combinations(plan, ports, is_narrow=bool(data) and is_plain)
    asked = {**parameters, "plan": plan.id, "data": list(data), "most": most}
    if not (data and is_plain):
        del asked["data"]
    rows = connection.execute(sql, asked).fetchall()
    numbers = {number for row in rows for column in row for number in column}
    ids = dict(connection.execute(_IDS, [list(numbers)]).fetchall())
    wanted = set(data)
    for row in rows:
        trigger = next((number for column in row for number in column if number in wanted), None)
        given = tuple(
            (each.name, tuple(ids[number] for number in column)) for each, column in zip(inputs, row, strict=True)
        )
        yield Assignment(plan.id, given, "" if trigger is None else ids[trigger])


def _combinations(plan: PlanToMatch, ports: dict[str, int], *, is_narrow: bool) -> tuple[str, dict[str, object]]:
    """The statement over all inputs. Everything in its text is ours: names and values are parameters."""
    inputs = plan.definition.inputs
    join = plan.definition.join
    parameters: dict[str, object] = {f"key{at}": key for at, key in enumerate(join)}
    parts, had = [], []
    for at, given in enumerate(inputs):
        parameters |= {f"port{at}": ports[given.name], f"name{at}": given.name}
        parts.append(f"c{at} AS ({_candidates(at, given, len(join))})")
        had.append(f"coalesce(list(i.data ORDER BY i.data) FILTER (i.name = $name{at}), []) AS had{at}")
    parts.append(
        f"""existing AS (
            SELECT {", ".join(had)} FROM run_input i JOIN run r ON r.number = i.run
            WHERE r.plan = $plan AND {_WITH_THESE if is_narrow else "true"} GROUP BY i.run
        )"""
    )
    conditions = [f"c0.v{key} = c{at}.v{key}" for at in range(1, len(inputs)) for key in range(len(join))]
    if is_narrow:
        conditions.append(
            "(" + " OR ".join(f"list_has_any(c{at}.taken, $data::BIGINT[])" for at in range(len(inputs))) + ")"
        )
    same = " AND ".join(f"had{at} = c{at}.taken" for at in range(len(inputs)))
    conditions.append(f"NOT EXISTS (SELECT 1 FROM existing WHERE {same})")
    taken = ", ".join(f"c{at}.taken" for at in range(len(inputs)))
    tables = ", ".join(f"c{at}" for at in range(len(inputs)))
    sql = f"""
        WITH {", ".join(parts)}
        SELECT DISTINCT {taken} FROM {tables} WHERE {" AND ".join(conditions)} ORDER BY ALL LIMIT $most
    """
    return sql, parameters


def _candidates(at: int, given: PlanInput, keys: int) -> str:
    """One input: what may sit in it, as lists, with the values `v0…` of the tags on which the inputs must agree."""
    values = "".join(f", t{key}.value AS v{key}" for key in range(keys))
    tags = "".join(f" JOIN tag t{key} ON t{key}.data = m.data AND t{key}.key = $key{key}" for key in range(keys))
    groups = "".join(f", v{key}" for key in range(keys))
    rows = f"SELECT m.data, d.timestamp AS moment{values} FROM matched m JOIN data d ON d.number = m.data{tags}"
    rows += f" WHERE m.port = $port{at}"
    if given.take == "each":
        return f"SELECT [data] AS taken{groups} FROM ({rows})"
    grouping = f" GROUP BY {groups[2:]}" if keys else " HAVING count(*) > 0"
    if given.take == "all":
        return f"SELECT list(data ORDER BY data) AS taken{groups} FROM ({rows}){grouping}"
    return f"SELECT [arg_max(data, (moment, data))] AS taken{groups} FROM ({rows}){grouping}"
