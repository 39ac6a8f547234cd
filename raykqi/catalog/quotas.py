"""What projects may take, what their runs take, and how large their data are."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec

from raykqi.catalog.index import Index
from raykqi.domain.access import Quota
from raykqi.domain.plan import PlanSettings
from raykqi.domain.quota import NOTHING_TAKEN, Taken
from raykqi.domain.resources import Resources

__all__ = ["StorageFacts", "held_bytes", "load_storage", "quotas_of", "sated_projects", "stored_bytes", "taken_by"]

_QUOTAS = "SELECT name, quota FROM project"
_TAKEN = """
    SELECT p.settings, count(*) FROM run r JOIN plan p ON p.id = r.plan
    WHERE r.project = ? AND r.status IN ('ready', 'starting', 'running', 'completing', 'aborting') GROUP BY ALL
"""
_STORED = """
    SELECT coalesce(sum(size), 0)::BIGINT FROM (
        SELECT any_value(size) AS size FROM data
        WHERE project = ? AND tree <> '' AND status NOT IN ('purged', 'removed') GROUP BY tree
    )
"""
_SINCE = "SELECT coalesce(sum(size), 0)::BIGINT FROM data WHERE project = ? AND timestamp >= ?"
_TREES = """
    SELECT DISTINCT tree FROM data
    WHERE project = ? AND tree IN (SELECT unnest(?::VARCHAR[])) AND status NOT IN ('purged', 'removed')
"""


@dataclass
class StorageFacts:
    """Of a project whose data may take `limit` bytes: what they take, and which of the asked trees it has."""

    limit: int
    held: int
    trees: set[str] = field(default_factory=set)


class _Sum(NamedTuple):
    """What the data of a project came to at a moment; of which state of which index."""

    generation: int
    seq: int
    moment: datetime
    bytes: int


_sums: WeakKeyDictionary[Index, dict[str, _Sum]] = WeakKeyDictionary()
_guard = threading.Lock()


def quotas_of(index: Index) -> dict[str, Quota]:
    """Of the projects that have one."""
    found = {name: msgspec.json.decode(text, type=Quota) for name, text in index.rows(_QUOTAS) if text}
    return {name: quota for name, quota in found.items() if quota != Quota()}


def taken_by(index: Index, project: str) -> Taken:
    """What its runs that are under way take."""
    taken = NOTHING_TAKEN
    for settings, count in index.rows(_TAKEN, [project]):
        each: Resources = msgspec.json.decode(settings, type=PlanSettings).resources
        taken = Taken(
            taken.cpu + count * each.cpu,
            taken.memory + count * each.memory,
            taken.gpu + count * each.gpu,
            taken.running + count,
        )
    return taken


def stored_bytes(index: Index, project: str) -> int:
    """The bytes of its data that were not given up, each tree once."""
    return int(index.rows(_STORED, [project])[0][0])


def held_bytes(index: Index, project: str, *, limit: int) -> int:
    """The same. While it is below the limit, a little more may be said, since that is quick to know.

    All trees of a large project are not looked at for each push: what came since they were last is added.
    """
    position = index.position()
    known = _known(index).get(project)
    if known and known.generation == index.generation and known.seq <= position.seq:
        if known.seq == position.seq:
            return known.bytes
        ((since,),) = index.rows(_SINCE, [project, known.moment])
        if known.bytes + since < limit:
            return known.bytes + int(since)
    exact = stored_bytes(index, project)
    moment = position.time.astimezone(UTC).replace(tzinfo=None)
    with _guard:
        _known(index)[project] = _Sum(index.generation, position.seq, moment, exact)
    return exact


def sated_projects(index: Index, quotas: Mapping[str, Quota], projects: Collection[str]) -> set[str]:
    """Those of the projects whose data take all that they may."""
    limits = {name: quotas[name].storage for name in projects if name in quotas}
    return {
        name for name, limit in limits.items() if limit is not None and held_bytes(index, name, limit=limit) >= limit
    }


def load_storage(index: Index, wanted: Mapping[str, Mapping[str, int]]) -> dict[str, StorageFacts]:
    """Of each project, the sizes of the trees that are to come. Left out are those that may hold anything."""
    if not wanted:
        return {}
    found: dict[str, StorageFacts] = {}
    for project, quota in quotas_of(index).items():
        if project not in wanted or quota.storage is None:
            continue
        more = sum(wanted[project].values())
        held = held_bytes(index, project, limit=quota.storage - max(0, more - 1))
        facts = found[project] = StorageFacts(quota.storage, held)
        if held + more > quota.storage:  # what is there already takes no more
            facts.trees = {tree for (tree,) in index.rows(_TREES, [project, list(wanted[project])])}
    return found


def _known(index: Index) -> dict[str, _Sum]:
    return _sums.setdefault(index, {})
