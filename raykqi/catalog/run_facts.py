"""What decisions need to know about plans and runs, read in a few statements for a whole batch of commands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from raykqi.catalog.index import Index
from raykqi.domain.data import DataStatus, TreeRef
from raykqi.domain.order import Attempt
from raykqi.domain.plan import Definition, PlanSettings
from raykqi.domain.run import RunStatus, Stopping

__all__ = ["OutputFacts", "PlanFacts", "RunFacts", "load_plan_facts", "load_run_facts", "plans_with"]


@dataclass
class OutputFacts:
    name: str
    data: str
    status: DataStatus
    tree: TreeRef


@dataclass
class RunFacts:
    """`users` are the runs of its project that took one of the outputs and were not invalidated."""

    id: str
    plan: str
    project: str
    status: RunStatus
    attempt: int
    tries: int
    stopping: Stopping
    outputs: list[OutputFacts] = field(default_factory=list)
    inputs: list[tuple[str, str, DataStatus]] = field(default_factory=list)
    users: set[str] = field(default_factory=set)


@dataclass
class PlanFacts:
    """`queued` are its runs that wait or are deactivated."""

    id: str
    project: str
    definition: Definition
    settings: PlanSettings
    held: str
    waiting: list[Attempt] = field(default_factory=list)
    deactivated: list[Attempt] = field(default_factory=list)


_RUNS = """
    SELECT number, id::VARCHAR, plan, project, status, attempt, tries, stopping
    FROM run WHERE id IN (SELECT unnest(?::UUID[]))
"""
_OUTPUTS = """
    SELECT run, output, id::VARCHAR, status, tree, size, files FROM data
    WHERE run IN (SELECT unnest(?::BIGINT[])) AND status <> 'removed' ORDER BY number
"""
_INPUTS = """
    SELECT i.run, i.name, d.id::VARCHAR, d.status FROM run_input i JOIN data d ON d.number = i.data
    WHERE i.run IN (SELECT unnest(?::BIGINT[])) ORDER BY i.run, i.name, d.number
"""
_USERS = """
    SELECT d.run, u.id::VARCHAR FROM data d JOIN run_input i ON i.data = d.number JOIN run u ON u.number = i.run
    WHERE d.run IN (SELECT unnest(?::BIGINT[])) AND d.status <> 'removed' AND u.status <> 'invalidated'
      AND u.project = d.project
"""
_PLANS = "SELECT id, project, definition, settings, held FROM plan WHERE id IN (SELECT unnest(?::VARCHAR[]))"
_QUEUED = """
    SELECT plan, id::VARCHAR, attempt, status FROM run
    WHERE status IN ('waiting', 'deactivated') AND plan IN (SELECT unnest(?::VARCHAR[])) ORDER BY number
"""


def load_run_facts(
    index: Index, runs: Collection[str], *, with_outputs: Collection[str], with_users: Collection[str] = ()
) -> dict[str, RunFacts]:
    """Runs that are not there are left out. Outputs and users are read of those that are named for them."""
    if not runs:
        return {}
    found: dict[int, RunFacts] = {}
    for number, *rest in index.rows(_RUNS, [list(runs)]):
        found[number] = RunFacts(*rest)
    making = [[number for number, run in found.items() if run.id in with_outputs]]
    for run, name, data, status, tree, size, files in index.rows(_OUTPUTS, making) if making[0] else ():
        found[run].outputs.append(OutputFacts(name, data, status, TreeRef(tree, size, files)))
    asked = [[number for number, run in found.items() if run.id in with_users]]
    if asked[0]:
        for run, name, data, status in index.rows(_INPUTS, asked):
            found[run].inputs.append((name, data, status))
        for run, user in index.rows(_USERS, asked):
            found[run].users.add(user)
    return {run.id: run for run in found.values()}


def load_plan_facts(index: Index, plans: Collection[str], *, with_queue: Collection[str] = ()) -> dict[str, PlanFacts]:
    """Plans that are not there, such as the built-in ones, are left out."""
    if not plans:
        return {}
    found = {
        id_: PlanFacts(
            id_,
            project,
            msgspec.json.decode(definition, type=Definition),
            msgspec.json.decode(settings, type=PlanSettings),
            held,
        )
        for id_, project, definition, settings, held in index.rows(_PLANS, [list(plans)])
    }
    if with_queue:
        for plan, run, attempt, status in index.rows(_QUEUED, [list(with_queue)]):
            queue = found[plan].waiting if status == "waiting" else found[plan].deactivated
            queue.append(Attempt(run, attempt))
    return found


def plans_with(index: Index, *, project: str, digest: str = "", name: str = "") -> list[str]:
    """The ids of plans of one digest, or of one name."""
    column, value = ("digest", digest) if digest else ("name", name)
    sql = f"SELECT id FROM plan WHERE project = ? AND {column} = ? ORDER BY number"
    return [id_ for (id_,) in index.rows(sql, [project, value])]
