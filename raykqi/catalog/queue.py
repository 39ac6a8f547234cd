"""What the dispatcher asks: which runs wait, what goes on, and everything that an order needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from raykqi.catalog.index import Index, utc
from raykqi.domain.order import Attempt, Order, OrderInput, OrderOutput, OrderTree
from raykqi.domain.plan import LOG_OUTPUT, Definition, PlanSettings, Scalar
from raykqi.domain.resources import Resources
from raykqi.domain.run import RunStatus

__all__ = [
    "QueuedPlan",
    "UnderWay",
    "attempts_of",
    "next_due",
    "orders_of",
    "queued_plans",
    "twins",
    "under_way",
    "waiting_runs",
]


class QueuedPlan(NamedTuple):
    """A plan of which runs wait; `oldest` is the number of the one that came first."""

    id: str
    priority: int
    oldest: int
    waiting: int
    running: int
    held: str
    definition: Definition
    settings: PlanSettings
    project: str = "default"


class UnderWay(NamedTuple):
    attempt: Attempt
    plan: str
    status: RunStatus
    stopping: str
    executor: str
    node: str
    resources: Resources
    grace: float
    project: str = "default"


_QUEUED = """
    WITH under_way AS (
        SELECT plan, count(*) AS runs FROM run
        WHERE status IN ('ready', 'starting', 'running', 'completing', 'aborting') GROUP BY plan
    )
    SELECT p.id, p.priority, q.oldest, q.waiting,
           coalesce((SELECT u.runs FROM under_way u WHERE u.plan = p.id), 0), p.held, p.definition, p.settings,
           p.project
    FROM (
        SELECT plan, min(number) AS oldest, count(*) AS waiting FROM run
        WHERE status = 'waiting' AND (after IS NULL OR after <= ?) GROUP BY plan
    ) q JOIN plan p ON p.id = q.plan
    ORDER BY p.priority DESC, q.oldest
"""
_WAITING = """
    SELECT plan, id::VARCHAR, number FROM run
    WHERE status = 'waiting' AND (after IS NULL OR after <= $now) AND plan IN (SELECT unnest($plans::VARCHAR[]))
    QUALIFY row_number() OVER (PARTITION BY plan ORDER BY number) <= $most ORDER BY number
"""
_DUE = "SELECT min(after) FROM run WHERE status = 'waiting' AND after > ?"
_UNDER_WAY = """
    SELECT r.id::VARCHAR, r.attempt, r.plan, r.status, r.stopping, r.executor, r.node, p.settings, p.definition,
           r.project
    FROM run r JOIN plan p ON p.id = r.plan
    WHERE r.status IN ('ready', 'starting', 'running', 'completing', 'aborting'){only} ORDER BY r.number
"""
_ORDERED = """
    SELECT r.number, r.id::VARCHAR, r.attempt, r.plan, r.project, p.definition, p.settings
    FROM run r JOIN plan p ON p.id = r.plan WHERE r.id IN (SELECT unnest(?::UUID[])) ORDER BY r.number
"""
_TREES = """
    SELECT i.run, i.name, d.id::VARCHAR, d.tree FROM run_input i JOIN data d ON d.number = i.data
    WHERE i.run IN (SELECT unnest(?::BIGINT[])) ORDER BY i.run, i.name, d.number
"""
_OUTPUTS = """
    SELECT run, output, id::VARCHAR FROM data
    WHERE run IN (SELECT unnest(?::BIGINT[])) AND status = 'processing' ORDER BY number
"""
# Runs of the same plan that took data with the same content; what is done comes before what goes on.
_TWINS = """
    WITH content AS (
        SELECT r.number, r.id, r.status, list((i.name, d.tree) ORDER BY i.name, d.tree) AS trees
        FROM run r JOIN run_input i ON i.run = r.number JOIN data d ON d.number = i.data
        WHERE r.plan = $plan AND r.status NOT IN ('failed', 'invalidated', 'deactivated') AND r.stopping = ''
        GROUP BY ALL
    )
    SELECT w.id::VARCHAR, t.id::VARCHAR, t.status FROM content w JOIN content t ON t.trees = w.trees
    WHERE w.id IN (SELECT unnest($runs::UUID[])) AND t.number <> w.number
      AND (t.status <> 'waiting' OR t.number < w.number)
      AND NOT EXISTS (SELECT 1 FROM data o WHERE o.run = t.number AND o.status IN ('purged', 'removed', 'failed'))
    QUALIFY row_number() OVER (PARTITION BY w.number ORDER BY (t.status = 'done') DESC, t.number) = 1
"""


def queued_plans(index: Index, now: datetime) -> list[QueuedPlan]:
    """In the order in which they are served: by priority, then by age."""
    return [
        QueuedPlan(id_, priority, oldest, waiting, running, held, _definition(text), _settings(settings), project)
        for id_, priority, oldest, waiting, running, held, text, settings, project in index.rows(_QUEUED, [_naive(now)])
    ]


def waiting_runs(index: Index, plans: Collection[str], now: datetime, most: int) -> dict[str, list[tuple[str, int]]]:
    """Of each plan the oldest runs that may start, with their numbers."""
    found: dict[str, list[tuple[str, int]]] = {}
    for plan, run, number in index.rows(_WAITING, {"now": _naive(now), "plans": list(plans), "most": most}):
        found.setdefault(plan, []).append((run, number))
    return found


def next_due(index: Index, now: datetime) -> datetime | None:
    """When the next run that has to wait after a failure may start again."""
    ((moment,),) = index.rows(_DUE, [_naive(now)])
    return utc(moment) if moment else None


def under_way(index: Index, *, stopping: bool = False) -> list[UnderWay]:
    """The attempts that may be on a node; with `stopping`, those that someone has stopped."""
    only = " AND r.stopping <> ''" if stopping else ""
    return [
        UnderWay(
            Attempt(id_, attempt),
            plan,
            status,
            stopping,
            executor,
            node,
            _settings(settings).resources,
            _definition(text).grace,
            project,
        )
        for id_, attempt, plan, status, stopping, executor, node, settings, text, project in index.rows(
            _UNDER_WAY.format(only=only)
        )
    ]


def attempts_of(index: Index, runs: Collection[str]) -> dict[str, Attempt]:
    """The attempt of each run that may be on a node; number 0 of runs that are on none."""
    sql = """
        SELECT id::VARCHAR, attempt * (status IN ('starting', 'running', 'completing', 'aborting'))::INTEGER
        FROM run WHERE id IN (SELECT unnest(?::UUID[]))
    """
    return {run: Attempt(run, number) for run, number in index.rows(sql, [list(runs)])}


def twins(index: Index, plan: str, runs: Collection[str]) -> dict[str, tuple[str, RunStatus]]:
    """For each run that has one: a run that does, or did, the same with the same content."""
    rows = index.rows(_TWINS, {"plan": plan, "runs": list(runs)})
    return {run: (twin, status) for run, twin, status in rows}


def orders_of(index: Index, runs: Collection[str], workspace: str, generation: int) -> list[Order]:
    """Everything that nodes need for the current attempts of these runs."""
    rows = index.rows(_ORDERED, [list(runs)])
    numbers = [[row[0] for row in rows]]
    trees: dict[tuple[int, str], list[OrderTree]] = {}
    for run, name, data, tree in index.rows(_TREES, numbers):
        trees.setdefault((run, name), []).append(OrderTree(data, tree))
    outputs: dict[int, dict[str, str]] = {}
    for run, name, data in index.rows(_OUTPUTS, numbers):
        outputs.setdefault(run, {})[name] = data
    orders = []
    known: dict[str, tuple[Definition, PlanSettings]] = {}
    for number, id_, attempt, plan, project, text, settings_text in rows:
        if plan not in known:
            known[plan] = _definition(text), _settings(settings_text)
        definition, settings = known[plan]
        orders.append(
            Order(
                attempt=Attempt(id_, attempt),
                plan=plan,
                project=project,
                workspace=workspace,
                definition=definition,
                resources=settings.resources,
                inputs=tuple(
                    OrderInput(given.name, given.path, tuple(trees.get((number, given.name), ())), given.take == "all")
                    for given in definition.inputs
                ),
                outputs=tuple(
                    OrderOutput(output.name, output.path, outputs[number][output.name]) for output in definition.outputs
                ),
                params=params_of(definition),
                log=outputs.get(number, {}).get(LOG_OUTPUT, ""),
                generation=generation,
            )
        )
    return orders


def params_of(definition: Definition) -> dict[str, Scalar]:
    return {param.name: param.value for param in definition.params if param.value is not None}


@lru_cache(4096)
def _definition(text: str) -> Definition:
    return msgspec.json.decode(text, type=Definition)


@lru_cache(4096)
def _settings(text: str) -> PlanSettings:
    return msgspec.json.decode(text, type=PlanSettings)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
