"""What a project uses: how large its data are, how far its runs are, and what they took by the user who caused them."""

from __future__ import annotations

from datetime import UTC, datetime

from raykqi.catalog.access_queries import get_project
from raykqi.catalog.index import Index
from raykqi.catalog.quotas import stored_bytes, taken_by
from raykqi.domain.access import Quota, Usage, UserUsage

__all__ = ["usage_of"]

SYSTEM = "raykqi"
_DATA = "SELECT count(*) FROM data WHERE project = ? AND status <> 'removed'"
_RUNS = """
    SELECT status, count(*) FROM run
    WHERE project = ? AND NOT starts_with(plan, 'raykqi#') AND status <> 'invalidated' GROUP BY status ORDER BY status
"""
# What runs have made begins others in the name of the system: those are of whoever applied their plan.
_USERS = f"""
    SELECT who, count(*), sum(cpu), sum(gpu), sum(wall * memory) FROM (
        SELECT CASE WHEN r.creator = '{SYSTEM}' THEN p.creator ELSE r.creator END AS who,
            coalesce((r.usage::JSON ->> '$.wall')::DOUBLE, 0) AS wall,
            coalesce((r.usage::JSON ->> '$.cpu')::DOUBLE, 0) AS cpu,
            coalesce((r.usage::JSON ->> '$.memory')::DOUBLE, 0) AS memory,
            coalesce((r.usage::JSON ->> '$.gpu')::DOUBLE, 0) AS gpu
        FROM run r JOIN plan p ON p.id = r.plan
        WHERE r.project = $project AND r.status IN ('done', 'failed', 'invalidated') AND r.usage IS NOT NULL
          AND ($since IS NULL OR r.ended >= $since) AND ($until IS NULL OR r.ended < $until)
    ) GROUP BY who ORDER BY who
"""


def usage_of(index: Index, project: str, *, since: datetime | None = None, until: datetime | None = None) -> Usage:
    """As of now; what users took is that of the runs that ended between `since` and `until`."""
    quota = get_project(index, project).quota
    taken, storage = taken_by(index, project), stored_bytes(index, project)
    asked = {"project": project, "since": _naive(since), "until": _naive(until)}
    return Usage(
        project=project,
        quota=quota,
        now=Quota(taken.cpu, taken.memory, taken.gpu, taken.running, storage),
        storage=storage,
        data=int(index.rows(_DATA, [project])[0][0]),
        runs=dict(index.rows(_RUNS, [project])),
        users=tuple(UserUsage(*row) for row in index.rows(_USERS, asked)),
    )


def _naive(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone(UTC).replace(tzinfo=None)
